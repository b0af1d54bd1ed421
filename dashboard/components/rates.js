// What intervals and a test say, for titles.
import { number } from './format.js';

// Wilson's 95 % bounds of a share of n, as rfm.wilson_interval has them; null of nobody.
export function wilson(share, n) {
	if (share === null || !(n > 0)) return { low: null, high: null };
	const z2 = 1.959963984540054 ** 2;
	const middle = share + z2 / (2 * n);
	const half = Math.sqrt((z2 * share * (1 - share)) / n + (z2 / (2 * n)) ** 2);
	return { low: Math.max(0, (middle - half) / (1 + z2 / n)), high: Math.min(1, (middle + half) / (1 + z2 / n)) };
}

// Of items { low, high }: do all intervals share a value; which lie wholly above or below the average; and, where they do not all share
// one, the pair that lies furthest apart.
export function compare(items, average) {
	const known = items.filter((i) => i.low !== null && i.high !== null);
	const upper = known.reduce((a, b) => (b.low > (a?.low ?? -Infinity) ? b : a), undefined);
	const lower = known.reduce((a, b) => (b.high < (a?.high ?? Infinity) ? b : a), undefined);
	const hasAverage = average !== null && average !== undefined;
	return {
		count: known.length,
		overlap: known.length > 0 && upper.low <= lower.high,
		upper,
		lower,
		above: hasAverage ? known.filter((i) => i.low > average) : [],
		below: hasAverage ? known.filter((i) => i.high < average) : []
	};
}

// Average of a measure over groups, weighted by their size; null without any.
export function weighted(rows, measure, size) {
	const known = rows.filter((r) => r[measure] !== null && r[size] > 0);
	const whole = known.reduce((sum, r) => sum + r[size], 0);
	return whole > 0 ? known.reduce((sum, r) => sum + r[measure] * r[size], 0) / whole : null;
}

// A p-value with its sign: = 0.32, = 0.012, < 0.001.
export function pValue(p) {
	return p < 0.001 ? '<\u00a00.001' : `=\u00a0${number(p, p < 0.1 ? 3 : 2)}`;
}

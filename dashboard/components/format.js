// Numbers as text. Both languages write 1,234.5, so that a figure looks the same in each. NULL is a dash.

const formats = new Map();

function format(options) {
	const key = JSON.stringify(options);
	if (!formats.has(key)) formats.set(key, new Intl.NumberFormat('en-US', options));
	return formats.get(key);
}

const missing = (x) => x === null || x === undefined || Number.isNaN(x);

// 1234.56 with so many digits after the point.
export function number(x, digits = 0) {
	return missing(x) ? '–' : format({ minimumFractionDigits: digits, maximumFractionDigits: digits }).format(x);
}

// A fraction as percent: 0.0839 is 8.4 %, on one line.
export function percent(x, digits = 1) {
	return missing(x) ? '–' : `${number(100 * x, digits)}\u00a0%`;
}

// A sum of money, without cents from 1,000 on.
export function money(x) {
	return number(x, missing(x) || Math.abs(x) < 1000 ? 2 : 0);
}

// A large number for an axis: 12K, 3.4M.
export function short(x) {
	return missing(x) ? '–' : format({ notation: 'compact', maximumFractionDigits: 1 }).format(x);
}

// An interval: low – high, each by the format given.
export function interval(low, high, one = percent) {
	return missing(low) || missing(high) ? '–' : `${one(low)} – ${one(high)}`;
}

import { ink } from '../colours.js';
import { number, percent } from '../format.js';
import { html } from '../html.js';
import { twoLines } from './lines.js';

export const stackHeight = (categories) => `${categories.length * 32 + 44}px`;

// Bars of 100 %, one per category, the first on top. Each of categories: { name, size, tip }; each of series: { name, colour, values }, its
// share of each category. In a bar are percents, where there is room.
export function stack({ categories, series }) {
	return {
		grid: { left: 12, right: 20, top: 4, bottom: 16, containLabel: true },
		tooltip: {
			trigger: 'axis', axisPointer: { type: 'shadow' }, confine: true,
			formatter: (found) => [
				`<b>${html(categories[found[0].dataIndex].tip)}</b>`,
				...found.filter((f) => f.value > 0).map((f) => `${f.marker}${html(f.seriesName)}: ${percent(f.value)}`)
			].join('<br>')
		},
		xAxis: { type: 'value', min: 0, max: 1, axisLabel: { formatter: (v) => percent(v, 0) }, interval: 0.25, splitLine: { show: false } },
		yAxis: {
			type: 'category', inverse: true, data: categories.map((_, at) => String(at)), axisTick: { show: false }, axisLine: { show: false },
			axisLabel: {
				interval: 0, lineHeight: 14, fontSize: 12, color: '#1b2430', rich: { size: { color: '#5b6470', fontSize: 11, lineHeight: 14 } },
				formatter: (_, at) => `${twoLines(categories[at].name)} {size|${categories[at].size}}`
			}
		},
		series: series.map((s) => ({
			type: 'bar', name: s.name, stack: 'all', barWidth: 22, data: s.values, itemStyle: { color: s.colour, borderColor: 'white', borderWidth: 0.5 },
			label: { show: true, color: ink(s.colour), fontSize: 11, formatter: ({ value }) => (value >= 0.08 ? number(100 * value) : '') }
		}))
	};
}

import { number } from '../format.js';
import { html } from '../html.js';

// Columns of average scores side by side. axes: texts; each of series: { name, colour, values }, a value per axis; levels: the highest score.
// legend: whether to say which colour is whose.
export function scores({ axes, series, levels, legend = false }) {
	const labels = (most) => ({ series: series.map(() => ({ label: { show: series.length <= most } })) });
	return {
		grid: { left: 4, right: 4, top: legend ? 46 : 20, bottom: 16, containLabel: true },
		legend: { show: legend, top: 0, left: 0, itemGap: 14 },
		tooltip: {
			trigger: 'axis', axisPointer: { type: 'shadow' }, confine: true,
			formatter: (found) => [
				`<b>${html(found[0].name)}</b>`, ...found.map((f) => `${f.marker}${html(f.seriesName)}: ${number(f.value, 2)}`)
			].join('<br>')
		},
		xAxis: { type: 'category', data: axes, axisTick: { show: false }, axisLabel: { fontSize: 12, color: '#1b2430' } },
		yAxis: { type: 'value', min: 0, max: levels, interval: 1, splitLine: { lineStyle: { color: '#eceff3' } } },
		series: series.map((s) => ({
			type: 'bar', name: s.name, barMaxWidth: 44, barGap: '8%', barCategoryGap: '22%', itemStyle: { color: s.colour }, data: s.values,
			label: { show: true, position: 'top', color: '#1b2430', fontSize: 11, formatter: ({ value }) => number(value, 1) }
		})),
		media: [
			{ query: { minWidth: 601 }, option: labels(8) },
			{ query: { maxWidth: 600 }, option: labels(4) }
		]
	};
}

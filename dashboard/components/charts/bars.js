import { ink } from '../colours.js';
import { html } from '../html.js';
import { twoLines } from './lines.js';

// Horizontal bars, the first of categories on top, with the text of each bar beside it, or in it where inside and long enough. Each of
// series: { name, colour, items }, its items one per category: { value, text, tip, faint }; a value of null is no bar, tip what the pointer
// shows below its names (HTML), faint a bar to be read with care. stacked: the series in one bar. max: where the axis ends; room: for the
// texts, in pixels.
export function bars({ categories, series, stacked = false, inside = false, room = 120, max }) {
	// a bar inside which there is no room for its text
	const label = (smallest) => ({ formatter: ({ data }) => (data.value === null || (inside && data.value < smallest * max) ? '' : data.text) });
	return {
		grid: { left: 10, right: inside ? 4 : room, top: series.length > 1 ? 34 : 4, bottom: 4, containLabel: true },
		legend: { show: series.length > 1, top: 0, left: 0, itemGap: 14, data: series.map((s) => s.name) },
		tooltip: { formatter: ({ name, seriesName, data }) => `<b>${html(name)}</b>, ${html(seriesName)}<br>${data.tip}` },
		xAxis: { type: 'value', min: 0, max, show: false },
		yAxis: {
			type: 'category', inverse: true, data: categories, axisTick: { show: false }, axisLine: { show: false },
			axisLabel: { interval: 0, lineHeight: 14, formatter: (name) => twoLines(name) }
		},
		series: series.map((s) => ({
			type: 'bar', name: s.name, stack: stacked ? 'all' : undefined, color: s.colour, barGap: '10%', barCategoryGap: '30%',
			label: { show: true, position: inside ? 'inside' : 'right', color: inside ? ink(s.colour) : '#1b2430', fontSize: 12, ...label(0.12) },
			data: s.items.map((i) => ({ ...i, itemStyle: { opacity: i.faint ? 0.4 : 1 }, label: { opacity: 1 } }))
		})),
		media: [
			{ query: { maxWidth: 700 }, option: { series: series.map(() => ({ label: label(0.12) })) } },
			{ query: { minWidth: 701 }, option: { series: series.map(() => ({ label: label(0.05) })) } }
		]
	};
}

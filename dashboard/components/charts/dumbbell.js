import { accent, bad, good } from '../colours.js';
import { html } from '../html.js';
import { twoLines } from './lines.js';

const ink = '#1b2430';

// A row high enough for a name on two lines.
export const dumbbellHeight = (items) => `${items.length * 36 + 76}px`;

// The line between the two values of a row.
function bar(params, api) {
	const [[x1, y1], [x2, y2]] = [api.coord([api.value(0), api.value(2)]), api.coord([api.value(1), api.value(2)])];
	return { type: 'line', shape: { x1, y1, x2, y2 }, style: { stroke: api.visual('color'), lineWidth: 4, opacity: 0.5 } };
}

// One row per item: a ring where it should be at least, a point where it is, and between them a line, green or red. Each of items: { name,
// least, value, wins }, least null where there is none; labels: { least, value }; one: how to write a value, from 0 to 1.
export function dumbbell({ items, labels, one }) {
	const both = items.map((i, at) => ({ ...i, at })).filter((i) => i.least !== null);
	return {
		grid: { left: 14, right: 24, top: 36, bottom: 8, containLabel: true },
		legend: { top: 0, left: 0, selectedMode: false, itemGap: 16, data: [labels.least, labels.value] },
		tooltip: {
			trigger: 'axis', axisPointer: { type: 'shadow' }, confine: true,
			formatter: (found) => {
				const item = items[found.find((f) => f.seriesName === labels.value)?.dataIndex];
				return item ? `${html(item.name)}<br>${labels.value}: <b>${one(item.value)}</b><br>${labels.least}: ${one(item.least)}` : '';
			}
		},
		xAxis: {
			type: 'value', min: 0, max: 1, axisLabel: { formatter: (v) => one(v, 0), hideOverlap: true, fontSize: 11 },
			splitLine: { lineStyle: { color: '#eceff3' } }
		},
		yAxis: {
			type: 'category', inverse: true, data: items.map((i) => i.name), axisTick: { show: false },
			axisLabel: { interval: 0, margin: 14, lineHeight: 14, fontSize: 12, color: ink, formatter: (name) => twoLines(name) }
		},
		series: [
			{
				name: 'difference', type: 'custom', renderItem: bar, encode: { x: [0, 1], y: 2 }, silent: true, z: 1,
				data: both.map((i) => ({ value: [i.least, i.value, i.at], itemStyle: { color: i.wins ? good : bad } }))
			},
			{
				name: labels.least, type: 'scatter', symbolSize: 12, z: 2, itemStyle: { color: 'white', borderColor: ink, borderWidth: 2, opacity: 1 },
				data: both.map((i) => [i.least, i.at])
			},
			{
				name: labels.value, type: 'scatter', symbolSize: 12, z: 3, itemStyle: { color: accent, opacity: 1 },
				data: items.map((i, at) => [i.value, at])
			}
		]
	};
}

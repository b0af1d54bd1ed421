import { scale } from '../colours.js';

// A heat map of scores: the levels of one across, those of the other upwards. Each of cells: { x, y, value, tip }, the levels counted
// from 1; text: how to write a value in a cell, axis: at the scale; labels: { x, y, value }.
export function grid({ cells, text, axis = text, labels }) {
	const highest = Math.max(...cells.map((c) => c.value), 0) || 1;
	const levels = (of) => Array.from({ length: Math.max(...cells.map((c) => c[of])) }, (_, i) => String(i + 1));
	const category = { type: 'category', axisTick: { show: false }, axisLine: { show: false }, nameTextStyle: { color: '#5b6470' } };
	return {
		grid: { left: 24, right: 4, top: 4, bottom: 78, containLabel: true },
		tooltip: { formatter: ({ data }) => data.tip, confine: true },
		visualMap: {
			type: 'continuous', min: Math.min(...cells.map((c) => c.value), 0), max: highest, inRange: { color: scale }, orient: 'horizontal',
			left: 'center', bottom: 0, itemHeight: 140, itemWidth: 12, text: [labels.value, ''], formatter: axis, calculable: true
		},
		xAxis: { ...category, data: levels('x'), name: labels.x, nameLocation: 'middle', nameGap: 24 },
		yAxis: { ...category, data: levels('y'), name: labels.y, nameLocation: 'middle', nameGap: 24 },
		series: [{
			type: 'heatmap', itemStyle: { borderColor: 'white', borderWidth: 2 }, emphasis: { itemStyle: { borderColor: '#1b2430' } },
			label: { show: true, fontSize: 12 },
			data: cells.map((c) => ({
				value: [c.x - 1, c.y - 1, c.value], tip: c.tip,
				label: { color: c.value > highest * 0.6 ? 'white' : '#1b2430', formatter: () => (c.value === 0 ? '' : text(c.value)) }
			}))
		}]
	};
}

import { bad, good } from '../colours.js';
import { percent } from '../format.js';

const ink = '#1b2430';

// Where a value that is linear along x is 0, for each y: points [x, y], x above 0 (more than rounding) up to 1. Each of cells: [x, y, value].
export function zeroLine(cells) {
	const rows = new Map();
	for (const [x, y, value] of cells) rows.set(y, [...(rows.get(y) ?? []), [x, value]]);
	return [...rows].flatMap(([y, row]) => {
		const [[x1, first], [x2, last]] = [row[0], row[row.length - 1]];
		const x = x1 - (first * (x2 - x1)) / (last - first);
		return x > 0.001 && x <= 1 ? [[x, y]] : [];
	});
}

// A value over two shares, in cells around each pair: green above 0, red below, white at 0, with a ring where point is and a line through
// the points of zero. Each of cells: [x, y, value], a step apart; labels: { x, y, point }; one: how to write a value, axis: in short.
export function plane({ cells, step, point, zero, labels, one, axis = one }) {
	const most = Math.max(...cells.map(([, , value]) => Math.abs(value)), 0) || 1;
	const share = (v) => (v > 1 ? '' : percent(v, 0));
	const side = { type: 'value', min: 0, max: 1 + step / 2, interval: 0.2, splitLine: { show: false }, axisLabel: { formatter: share, fontSize: 11 } };
	const cell = (params, api) => {
		const [x, y] = api.coord([api.value(0) - step / 2, api.value(1) + step / 2]);
		const [width, height] = api.size([step, step]);
		return { type: 'rect', shape: { x, y, width, height }, style: { fill: api.visual('color'), stroke: 'white', lineWidth: 0.5 } };
	};
	return {
		grid: { left: 24, right: 12, top: 10, bottom: 82, containLabel: true },
		tooltip: {
			confine: true,
			formatter: ({ value: [x, y, value], seriesName }) =>
				`${seriesName === labels.point ? `${labels.point}<br>` : ''}${labels.x}: ${percent(x)}<br>${labels.y}: ${percent(y)}<br><b>${one(value)}</b>`
		},
		visualMap: {
			type: 'continuous', seriesIndex: 0, dimension: 2, min: -most, max: most, inRange: { color: [bad, '#ffffff', good] },
			orient: 'horizontal', left: 'center', bottom: 0, itemHeight: 140, itemWidth: 12, text: [axis(most), axis(-most)], formatter: one
		},
		xAxis: { ...side, name: labels.x, nameLocation: 'middle', nameGap: 26 },
		yAxis: { ...side, name: labels.y, nameLocation: 'middle', nameGap: 44 },
		series: [
			{ name: 'cells', type: 'custom', renderItem: cell, encode: { x: 0, y: 1 }, clip: true, data: cells },
			{
				name: 'zero', type: 'line', showSymbol: false, silent: true, z: 2, data: zero, clip: true,
				lineStyle: { color: ink, width: 1.5, type: 'dashed' }
			},
			{
				name: labels.point, type: 'scatter', symbolSize: 16, z: 3, data: [point],
				itemStyle: { color: 'white', borderColor: ink, borderWidth: 4, opacity: 1 },
				label: {
					show: true, formatter: labels.point, position: point[0] > 0.6 ? 'left' : 'right', color: ink, fontSize: 12, fontWeight: 600,
					backgroundColor: 'rgba(255, 255, 255, 0.85)', padding: [2, 5], borderRadius: 3
				}
			}
		]
	};
}

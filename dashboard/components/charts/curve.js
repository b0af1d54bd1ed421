import { accent, quiet } from '../colours.js';
import { interval as bounds, percent } from '../format.js';

// A share along x, from points [x, y]; with bounds [x, low, high] a band behind it, none where they are null, and with diagonal the line of
// equal shares. tip: from the place of a point to one more line for the pointer; tick and interval: text and distance of the marks on x.
export function curve({ points, band, diagonal, x, y, label = (v) => v, step = false, max, min, tip, tick, interval }) {
	const line = { type: 'line', showSymbol: false, step: step ? 'end' : false };
	const series = [];
	if (band) {
		// a polygon: lines on two axes of values would be stacked along x
		const known = band.filter(([, low]) => (low ?? null) !== null);
		const edge = (api, side) => known.flatMap((at, i) => [...step && i > 0 ? [[at[0], known[i - 1][side]]] : [], [at[0], at[side]]])
			.map((point) => api.coord(point));
		series.push({
			type: 'custom', name: 'band', data: known, encode: { x: 0, y: [1, 2] }, silent: true, progressive: 0, clip: true,
			renderItem: (params, api) => params.dataIndex > 0 ? undefined : {
				type: 'polygon', shape: { points: [...edge(api, 1), ...edge(api, 2).reverse()] }, style: { fill: accent, opacity: 0.18 }
			}
		});
	}
	if (diagonal) series.push({ ...line, name: 'equal', data: diagonal, lineStyle: { color: quiet, type: 'dashed', width: 1 }, silent: true });
	series.push({ ...line, name: y, data: points, showSymbol: points.length === 1, symbolSize: 8, lineStyle: { color: accent, width: 2.5 }, itemStyle: { color: accent } });
	return {
		grid: { left: 8, right: 20, top: 16, bottom: tick ? 28 : 34, containLabel: true },
		tooltip: {
			trigger: 'axis',
			formatter: (found) => {
				const at = found.find((f) => f.seriesName === y);
				if (!at) return '';
				const [, low, high] = band?.[at.dataIndex] ?? [];
				return [
					label(at.value[0]), `<b>${percent(at.value[1])}</b>`, ...(low ?? null) === null ? [] : [bounds(low, high)], ...tip ? [tip(at.dataIndex)] : []
				].join('<br>');
			}
		},
		xAxis: {
			type: 'value', name: x, nameLocation: 'middle', nameGap: tick ? 40 : 28, min, max: max ?? 'dataMax', interval, splitLine: { show: false },
			axisLabel: tick ? { formatter: tick, lineHeight: 15, showMaxLabel: false } : {}
		},
		yAxis: { type: 'value', min: 0, axisLabel: { formatter: (v) => percent(v, 0) } },
		series
	};
}

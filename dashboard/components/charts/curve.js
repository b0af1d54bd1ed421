import { accent, quiet } from '../colours.js';
import { percent } from '../format.js';

// A rising share, from points [x, y]; with bounds [x, low, high] a band behind it, and with diagonal the line of equal shares.
export function curve({ points, band, diagonal, x, y, label = (v) => v, step = false, max }) {
	const line = { type: 'line', showSymbol: false, step: step ? 'end' : false };
	const series = [];
	if (band)
		series.push(
			{ ...line, name: 'low', stack: 'band', lineStyle: { opacity: 0 }, data: band.map(([at, low]) => [at, low]), silent: true },
			{ ...line, name: 'high', stack: 'band', lineStyle: { opacity: 0 }, areaStyle: { color: accent, opacity: 0.18 },
				data: band.map(([at, low, high]) => [at, high - low]), silent: true });
	if (diagonal) series.push({ ...line, name: 'equal', data: diagonal, lineStyle: { color: quiet, type: 'dashed', width: 1 }, silent: true });
	series.push({ ...line, name: y, data: points, lineStyle: { color: accent, width: 2.5 }, itemStyle: { color: accent } });
	return {
		grid: { left: 8, right: 20, top: 16, bottom: 34, containLabel: true },
		tooltip: {
			trigger: 'axis',
			formatter: (found) => {
				const at = found.find((f) => f.seriesName === y);
				if (!at) return '';
				const bounds = band?.[at.dataIndex];
				return `${label(at.value[0])}<br><b>${percent(at.value[1])}</b>${bounds ? `<br>${percent(bounds[1])} – ${percent(bounds[2])}` : ''}`;
			}
		},
		xAxis: { type: 'value', name: x, nameLocation: 'middle', nameGap: 28, max: max ?? 'dataMax', splitLine: { show: false } },
		yAxis: { type: 'value', min: 0, axisLabel: { formatter: (v) => percent(v, 0) } },
		series
	};
}

import { accent, quiet } from '../colours.js';
import { html } from '../html.js';
import { twoLines } from './lines.js';

const ink = '#1b2430';

// A row high enough for a name on two lines.
export const intervalsHeight = (items) => `${items.length * 32 + 64}px`;

// A line from low to high with its ends, over the row of its index.
function whisker(params, api) {
	const y = api.coord([0, api.value(2)])[1];
	const [low, high] = [0, 1].map((at) => api.coord([api.value(at), 0])[0]);
	const style = { stroke: api.visual('color'), lineWidth: 1.5, fill: 'none' };
	const stroke = (x1, y1, x2, y2) => ({ type: 'line', shape: { x1, y1, x2, y2 }, style });
	return { type: 'group', children: [stroke(low, y, high, y), stroke(low, y - 4, low, y + 4), stroke(high, y - 4, high, y + 4)] };
}

// One row per item: a point, or a bar from 0, with its interval. Each of items: { name, size, value, low, high, detail, colour }, size and
// detail as text, low and high null where unknown; one: how to write a value; average: { value, name } is a dashed line.
export function intervals({ items, one, axis = one, average, bars = false }) {
	const mark = {
		name: 'value', z: 2,
		data: items.map((i, at) => ({ value: bars ? i.value : [i.value, at], itemStyle: { color: i.colour ?? accent, opacity: 1 } }))
	};
	const series = [
		bars ? { ...mark, type: 'bar', barWidth: 14 } : { ...mark, type: 'scatter', symbolSize: 10 },
		{
			name: 'interval', type: 'custom', renderItem: whisker, encode: { x: [0, 1], y: 2 }, silent: true, z: bars ? 3 : 1,
			itemStyle: { color: bars ? ink : accent },
			data: items.map((i, at) => [i.low, i.high, at]).filter(([low, high]) => low !== null && high !== null)
		}
	];
	if (average && items.length > 0)
		series.push({
			name: 'average', type: 'scatter', symbolSize: 0, silent: true, data: [[average.value, 0]],
			markLine: {
				symbol: 'none', precision: 12, silent: true, animation: false, lineStyle: { color: quiet, type: 'dashed', width: 1.5 },
				label: { position: 'start', formatter: `${average.name} ${one(average.value)}`, color: '#5b6470', fontSize: 12 },
				data: [{ xAxis: average.value }]
			}
		});
	return {
		grid: { left: 14, right: 24, top: average ? 28 : 10, bottom: 8, containLabel: true },
		tooltip: {
			trigger: 'axis', axisPointer: { type: 'shadow' }, confine: true,
			formatter: (found) => {
				const item = items[found.find((f) => f.seriesName === 'value')?.dataIndex];
				if (!item) return '';
				const bounds = item.low !== null && item.high !== null ? `<br>${one(item.low)} – ${one(item.high)}` : '';
				return `${html(item.name)}<br><b>${one(item.value)}</b>${bounds}${item.detail ? `<br>${item.detail}` : ''}`;
			}
		},
		xAxis: { type: 'value', scale: !bars, axisLabel: { formatter: (v) => axis(v), hideOverlap: true, fontSize: 11 }, splitNumber: 4, splitLine: { lineStyle: { color: '#eceff3' } } },
		yAxis: {
			type: 'category', inverse: true, data: items.map((i) => i.name), axisTick: { show: false },
			axisLabel: {
				interval: 0, lineHeight: 14, fontSize: 12, color: ink, rich: { size: { color: '#5b6470', fontSize: 11, lineHeight: 14 } },
				formatter: (name, at) => (items[at]?.size ? `${twoLines(name)} {size|${items[at].size}}` : twoLines(name))
			}
		},
		series
	};
}

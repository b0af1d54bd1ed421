import { scale } from '../colours.js';
import { money, number } from '../format.js';
import { html } from '../html.js';

// Rectangles with the area of a count, coloured by an average. Each of items: { name, size, average }; labels: { size, average }.
export function treemap(items, labels) {
	const averages = items.filter((i) => i.size > 0 && i.average !== null).map((i) => i.average);
	const highest = Math.max(...averages, 0);
	return {
		tooltip: {
			formatter: ({ data }) => `<b>${html(data.name)}</b><br>${labels.size}: ${number(data.value[0])}<br>${labels.average}: ${money(data.value[1])}`
		},
		visualMap: {
			type: 'continuous', dimension: 1, min: Math.min(...averages, 0), max: highest || 1, inRange: { color: scale },
			orient: 'horizontal', left: 'center', bottom: 0, itemHeight: 140, itemWidth: 12, text: [labels.average, ''], formatter: money, calculable: true
		},
		series: [{
			type: 'treemap', roam: false, nodeClick: false, breadcrumb: { show: false }, top: 0, left: 0, right: 0, bottom: 44,
			itemStyle: { gapWidth: 2 },
			label: { formatter: ({ data }) => `${data.name}\n${number(data.value[0])}`, fontSize: 13, lineHeight: 18, overflow: 'break' },
			data: items.filter((i) => i.size > 0).map((i) => ({
				name: i.name, value: [i.size, i.average], label: { color: i.average > highest / 3 ? 'white' : '#1b2430' }
			}))
		}]
	};
}

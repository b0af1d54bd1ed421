import { number, percent } from '../format.js';
import { html } from '../html.js';

// Parts of a whole, in the order given. Each of items: { name, value, colour }; one: how to write a value.
export function pie(items, one = number) {
	const whole = items.reduce((sum, i) => sum + i.value, 0);
	return {
		tooltip: { formatter: ({ marker, name, value }) => `${marker}${html(name)}: ${one(value)} (${percent(value / whole)})` },
		series: [{
			type: 'pie', radius: ['38%', '68%'], center: ['50%', '50%'], minShowLabelAngle: 6,
			label: { formatter: ({ name, value }) => `${name}\n${percent(value / whole)}`, overflow: 'break' },
			labelLine: { length: 8, length2: 8 },
			data: items.filter((i) => i.value > 0).map((i) => ({ name: i.name, value: i.value, itemStyle: { color: i.colour } }))
		}]
	};
}

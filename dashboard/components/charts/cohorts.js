import { quiet, scale } from '../colours.js';
import { percent, number } from '../format.js';

const few = '#e9ecef';

// Retention of cohorts: a row per cohort, a column per month since. Each of cohorts: { month, customers, small }; each of cells:
// { cohort (its place among cohorts), since, rate, complete, tip }. The colours are those of complete months of cohorts that are not small;
// a small cohort is grey, a month that has not ended is framed and starred. labels: { cohort, since, rate }.
export function cohorts({ cohorts, cells, labels }) {
	const months = Math.max(...cells.map((c) => c.since), 1);
	const coloured = cells.filter((c) => c.complete && !cohorts[c.cohort].small).map((c) => c.rate);
	const highest = Math.max(...coloured, 0) || 1;
	const text = (show, fontSize) => ({ series: [{ label: { show, fontSize } }] });
	return {
		grid: { left: 12, right: 4, top: 40, bottom: 52, containLabel: true },
		tooltip: { formatter: ({ data }) => data.tip },
		visualMap: {
			show: coloured.length > 0, type: 'continuous', min: 0, max: highest, inRange: { color: scale }, orient: 'horizontal', left: 'center', bottom: 0,
			itemHeight: 140, itemWidth: 12, text: [labels.rate, ''], formatter: (v) => percent(v), calculable: true
		},
		xAxis: {
			type: 'category', position: 'top', name: labels.since, nameLocation: 'middle', nameGap: 24, axisTick: { show: false }, axisLine: { show: false },
			data: Array.from({ length: months }, (_, i) => i + 1)
		},
		yAxis: {
			type: 'category', inverse: true, axisTick: { show: false }, axisLine: { show: false },
			data: cohorts.map((c) => `${c.month} (${number(c.customers)})`), axisLabel: { interval: cohorts.length > 30 ? 'auto' : 0, fontSize: 11 }
		},
		series: [{
			type: 'heatmap', itemStyle: { borderColor: 'white', borderWidth: 1 }, label: { show: months <= 26, fontSize: 11 },
			emphasis: { itemStyle: { borderColor: '#1b2430' } },
			data: cells.map((c) => {
				const small = cohorts[c.cohort].small;
				return {
					value: [c.since - 1, c.cohort, c.rate], tip: c.tip, visualMap: small ? false : undefined,
					itemStyle: {
						...(small ? { color: few } : {}),
						...(c.complete ? {} : { borderColor: quiet, borderType: 'dashed' })
					},
					label: {
						color: !small && c.rate > highest * 0.55 ? 'white' : '#1b2430',
						formatter: () => `${number(100 * c.rate, 1)}${c.complete ? '' : '*'}`
					}
				};
			})
		}],
		media: [
			{ query: { minWidth: 701 }, option: text(months <= 26, 11) },
			{ query: { maxWidth: 700 }, option: text(months <= 12, 9) }
		]
	};
}

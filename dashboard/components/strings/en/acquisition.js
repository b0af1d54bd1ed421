const measures = {
	second: { name: 'Second order within a year' },
	after: { name: 'Revenue after the first order' },
	vip: { name: 'VIP share' }
};
const within = { second: 'second orders within a year', after: 'revenue after the first order', vip: 'VIP share' };
const levels = { category: 'categories', brand: 'brands', product: 'products' };
const some = (names) => (names.length > 3 ? `${names.slice(0, 2).join(', ')} and ${names.length - 2} more` : names.join(', '));

export default {
	title: 'Where do good customers come from?',
	intro: 'By the first purchase, the channel, and the days from sign-up to the first order.',
	level: 'First purchase by',
	levels: { category: 'Category', brand: 'Brand', product: 'Product' },
	measure: 'Measure',
	measures,
	customers: 'Customers',
	customersCount: (n) => `${n} customers`,
	average: 'All:',
	gatewayQuestion: 'Which first purchase makes good customers?',
	gatewayOverlap: (n, level, measure) => `The intervals of all ${n} ${levels[level]} overlap: no proven difference in ${within[measure]}`,
	gatewayOut: (above, below, measure) =>
		`${measures[measure].name} ${[above.length ? `above the average: ${some(above)}` : '', below.length ? `below the average: ${some(below)}` : ''].filter(Boolean).join('; ')}`,
	gatewayApart: (upper, lower, measure) => `${measures[measure].name}: ${upper} lies clearly above ${lower}`,
	gatewayUnit: (level) => `Point with 95 % interval; customers in grey; the 20 ${levels[level]} with the most customers`,
	gatewayNotes: {
		second: 'Share with a second order within 365 days (Kaplan–Meier: who was not watched that long counts for as long as he was).',
		after: 'Revenue per customer without the lines of the first order.',
		vip: 'Share in segments of stage vip. VIP asks for a high amount, so an expensive first basket makes VIPs by definition.'
	},
	byChance: (n) => `One in 20 intervals misses the average by chance alone: of ${n} about ${Math.max(1, Math.round(n / 20))}.`,
	gatewayNothing: (level) => level === 'category' ? 'This takes customers and the relation products.' : 'Brands and products are listed from 30 customers on; there is none with so many.',
	accountsNothing: 'This takes customers and the relation accounts.',
	channelNothing: 'This takes the relation accounts, and VIP or promising customers.',
	tableTitle: (level) => `Customers by ${level} of the first purchase, in figures`,
	tableNote: 'VIP asks for a high amount, so an expensive first basket makes VIPs by definition; second orders and the revenue after the first order are free of that.',
	columns: {
		name: 'First purchase', customers: 'Customers', second: 'Second order', after: 'Revenue after', vip: 'VIP share', interval: '95 % interval'
	},
	channelQuestion: 'Do channels bring customers who become VIP?',
	channelSame: (p) => `The channels do not differ more than by chance (p\u00a0${p})`,
	channelDiffer: (p, best, worst) => `The channels differ (p\u00a0${p}): ${best} highest, ${worst} lowest`,
	channelTooFew: 'Too few customers for a test of the channels',
	channelUnit: 'VIP share of the active customers (VIP and promising) with 95 % interval; active customers in grey',
	channelNotes: {
		same: 'Chi-square test that all channels have one rate; below 0.05 they would differ. It justifies no shift of the budget between channels.',
		differ: 'Chi-square test that all channels have one rate. They differ, but acquisition costs are not in the model: weigh them before a budget moves.',
		few: 'The chi-square test asks for two channels with active customers and an expected count of 5. Without it no shift of the budget is justified.'
	},
	active: (n) => `${n} active`,
	channelDetail: (customers, vip, active) => `${vip} VIP of ${active} active; ${customers} customers`,
	unknown: 'unknown',
	repurchaseQuestion: 'Do early buyers order again?',
	vipQuestion: 'Do early buyers become VIP?',
	timingOverlap: (measure) => `${measure}: no proven difference by days from sign-up`,
	timingApart: (measure, upper, upperRate, lower, lowerRate) => `${measure}: ${upperRate} (${upper}) against ${lowerRate} (${lower})`,
	repurchase: 'Repurchase rate',
	vip: 'VIP share',
	repurchaseUnit: 'Share with at least two orders, by days from sign-up to the first order, with 95 % interval',
	vipUnit: 'Share in VIP segments, by days from sign-up to the first order, with 95 % interval',
	timingNote: 'Not the effect of speed alone: who bought soon after sign-up mostly had more time since to order again.',
	vipTimingNote: 'VIP asks for a recent order, two orders and a high amount: more time since the first order helps here, too.',
	leftOut: (names) => `Left out, with fewer than 30 customers: ${names}.`
};

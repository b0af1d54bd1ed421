const listed = (names) => (names.length > 3 ? `${names.slice(0, 3).join(', ')} and ${names.length - 3} more` : names.join(', '));

export default {
	title: 'Segments',
	intro: (all, full) => `${all} segments by the rules of the model${full < all ? `, ${full} of them with customers` : ''}. Each name leads to its page.`,
	segment: 'Segment',
	stage: 'Stage',
	customers: 'Customers',
	customerShare: 'Share',
	revenue: 'Revenue',
	revenueShare: 'Share of revenue',
	averageRevenue: 'Revenue per customer',
	averageDays: 'Days since last purchase',
	averageOrders: 'Orders per customer',

	tableTitle: (name, money) => `${name} is worth the most per customer: ${money}`,
	tableQuestion: 'Who is in which segment?',
	tableUnit: 'Customers and revenue by segment; averages per customer. R, F, M: average scores for recency, frequency and revenue',
	tableNote: 'Every customer is in exactly one segment: the first whose rule the three scores meet. Revenue is net of refunds, in the unit of the order lines.',

	choose: 'Segments to compare',
	axes: { r: 'Recency (R)', f: 'Frequency (F)', m: 'Monetary (M)' },
	scoresQuestion: 'How do the segments differ in their scores?',
	scoresOne: (name, r, f, m) => `${name} scores ${r} in recency, ${f} in frequency and ${m} in revenue`,
	scoresTitle: (axis, high, x, low, y) => `They differ most in ${{ r: 'recency', f: 'frequency', m: 'revenue' }[axis]}: ${high} ${x}, ${low} ${y}`,
	scoresUnit: 'Average score; higher is more recent, more orders, more revenue',
	scoresNote: 'Scores are levels from 1 up; the cut points are settings of the model. With the standard ones a frequency score of 3 is one order.',

	measure: 'Show',
	all: 'all',
	gridQuestion: 'Which scores are most frequent?',
	gridTitle: (measure, f, r, m, share) =>
		`${measure === 'customers' ? 'Most customers' : 'Most revenue'}${f ? ` with F = ${f}` : ''}: R = ${r}, M = ${m}, ${share}`,
	gridUnit: (measure, f) => `${measure === 'customers' ? 'Customers' : 'Revenue'} by recency and monetary score${f ? `, frequency score ${f}` : ', all frequency scores'}`,
	gridNote: 'Each cell sums the customers with these scores; the pointer shows the segments they are in. Top right: recent and rich.',

	dimension: 'By',
	legend: 'Segments and their colours',
	unknown: 'unknown',
	others: (n) => `${n} others`,
	ofCustomers: (n) => `${n} customers`,
	breakdownQuestion: 'Where do the segments come from?',
	breakdownOut: (name, share, above, below) => `Share of ${name} (${share} of all): ${[
		above.length ? `clearly higher in ${listed(above)}` : '', below.length ? `clearly lower in ${listed(below)}` : ''
	].filter(Boolean).join('; ')}`,
	breakdownSame: (name, share, dimension) => `The share of ${name} (${share} of all) does not clearly differ by ${dimension}`,
	breakdownUnit: '% of the customers with a value that are in each segment',
	breakdownNote: 'Values with the most customers first, the number of customers beside each. Clearly: the 95 % interval of the share excludes that of all customers.',
	byChance: 'Of many values about one in twenty does so by chance.',
	breakdownNothing: 'The model has no accounts, products or dimensions to break the segments down by, or no customers.',

	allSegments: 'All segments',
	around: 'Previous and next segment',
	noSegment: (rank) => `There is no segment ${rank}`,
	noSegmentHint: 'The rules of the model may have changed since the link was made.',
	emptySegment: 'No customer is in this segment now.',
	segmentIntro: (rank, all, stage, group) => `Rule ${rank} of ${all}; stage: ${stage}${group ? `; risk group: ${group}` : ''}.`,
	place: (n, all) => `no. ${n} of ${all}`,
	shareOf: (share) => `${share} of all`,
	allCustomers: (x) => `all: ${x}`,
	everyone: 'All customers',

	planTitle: 'Action plan',
	plan: { goal: 'Goal', action: 'Action', timing: 'Timing' },
	noPlan: 'The model has no action text for this segment: add a row to its table action_texts.',
	campaign: (name, audience, added, cost, profit, roi) =>
		`Campaign “${name}”: ${audience} customers; expected additional revenue ${added}, cost ${cost}, net profit ${profit}, ROI ${roi} under its assumptions.`,
	identity: 'This ROI follows from margin, incentive and operating rate alone, whatever the response.',

	timingQuestion: 'How long do they take to the second order?',
	timingTitle: (share, bucket) => `First to second order: most often ${bucket} (${share})`,
	timingUnit: (n, days) => `% of the ${n} customers of the segment with a second order, with 95 % interval; ${days} days on average`,
	timingNote: 'Only customers who have a second order, of all time: this is not the share of those who ever come back.',
	timingNothing: 'No customer of this segment has a second order.',

	sharesUnit: '% of the customers with a value that are in this segment, with 95 % interval',
	sharesNote: 'Values with the most customers first, the number of customers beside each. Clearly: the interval excludes the share of all customers.',
	detail: (n, of) => `${n} of ${of} customers`
};

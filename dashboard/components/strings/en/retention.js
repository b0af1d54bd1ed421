// The page of retention. Figures come as text, except where a number decides the words.
export default {
	title: 'Who stays?',
	intro: 'Which customers buy again month by month, and how they move between the segments.',

	cohortTitle: (last, rate, low, high) => `${rate} of ${last ? `the last ${last} cohorts` : 'all cohorts'} buy in the month after their first order${low === high ? '' : `, by cohort from ${low} to ${high}`}`,
	cohortQuestion: 'Which customers come back, month by month?',
	cohortUnit: 'Retention in %: share of the cohort with a purchase in the month. Cohort: month of the first order (customers)',
	cohortNote: 'Months are calendar months; month 0, in which everyone bought, is left out. * and dashed: the month has not ended. Grey: cohorts of fewer than 30 customers, where one buyer is more than 3 %; they are not part of the colours.',
	cohortX: 'Months since the first order',
	rate: 'Retention',
	shown: 'Cohorts',
	last: (n) => `last ${n}`,
	all: 'all',
	cohortTip: (month, since, rate, active, customers) => `Cohort ${month}, month ${since}<br><b>${rate}</b><br>${active} of ${customers} customers`,
	unfinished: 'The month has not ended',

	averageTitle: (first, last) => last
		? `${first.rate} of the customers buy ${first.months} month after the first order, ${last.rate} after ${last.months} months`
		: `${first.rate} of the customers buy ${first.months} month after the first order`,
	averageQuestion: 'How does retention go on?',
	averageUnit: 'Average retention by months since the first order. Band: 95 % interval',
	averageX: 'Months since the first order',
	averageNote: 'All cohorts together: customers with a purchase in the month, divided by the customers of the cohorts for which this month has ended. Later months have fewer cohorts; from fewer than 30 customers on the line is left out. Interval of Wilson.',
	averageMonth: (months) => `Month ${months}`,
	averageTip: (active, customers) => `${active} of ${customers} customers`,

	daysBack: 'Compare with',
	daysAgo: (days) => `${days} days ago`,
	moveTitle: (lost, vip, days, gained) => `${lost} of ${vip} VIP of ${days} days ago ${lost === '1' ? 'is' : 'are'} no longer VIP, ${gained} others are now`,
	moveAnyTitle: (moved, customers, days) => `${moved} of ${customers} customers of ${days} days ago are in another segment now`,
	moveNewTitle: (customers, days) => `All ${customers} customers are new: ${days} days ago there were none`,
	moveQuestion: 'How do customers move between the segments?',
	moveUnit: (days) => `Customers by their segment ${days} days ago (left) and now (right)`,
	moveNote: 'Rules and settings are those of today. New: no customer then. Gone: all orders have left the window. An order that was cancelled since is missing then, too, unless the order lines say when.',
	moveNeeds: 'Only the owner of the model can compute this: build the dashboard with the rights of the owner.',
	moveTip: (source, target, customers, revenue) => `${source} → ${target}<br><b>${customers}</b> customers<br>revenue ${revenue}`,

	tableTitle: (source, target, customers) => `The largest move is from ${source} to ${target}: ${customers} customers`,
	tableNobody: 'Nobody moved to another segment',
	tableQuestion: 'Who moved where?',
	tableUnit: (days) => `From ${days} days ago to now`,
	tableNote: 'Revenue is that of now, of those who are gone that of then. The share is that of the segment then.',
	source: 'Then',
	target: 'Now',
	customers: 'Customers',
	share: 'Share',
	revenue: 'Revenue'
};

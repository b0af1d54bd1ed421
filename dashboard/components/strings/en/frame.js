// What is on every page.
export default {
	menu: 'Pages',
	language: 'Language',
	nothing: 'The model has no rows for this.',
	notRefreshed: 'The model has not been refreshed yet, or it holds no customers.',
	table: {
		search: 'Search',
		found: (n, all) => `${n} of ${all}`,
		nothingFound: 'No row has this text.',
		csv: 'CSV'
	},
	pages: {
		overview: 'Overview',
		segments: 'Segments',
		problems: 'Problems',
		acquisition: 'Acquisition',
		retention: 'Retention',
		plan: 'Action plan & ROI'
	}
};

export default {
	menu: '페이지',
	language: '언어',
	nothing: '이 항목에 해당하는 데이터가 모델에 없습니다.',
	notRefreshed: '모델이 아직 갱신되지 않았거나 고객이 없습니다.',
	table: {
		search: '검색',
		found: (n, all) => `${all}개 중 ${n}개`,
		nothingFound: '검색 결과가 없습니다.',
		csv: 'CSV'
	},
	pages: {
		overview: '개요',
		segments: '세그먼트',
		problems: '문제 진단',
		acquisition: '고객 획득',
		retention: '리텐션',
		plan: '액션 플랜 & ROI'
	}
};

const listed = (names) => (names.length > 3 ? `${names.slice(0, 3).join(', ')} 외 ${names.length - 3}개` : names.join(', '));

export default {
	title: '세그먼트',
	intro: (all, full) => `모델 규칙에 따른 세그먼트 ${all}개${full < all ? ` (고객이 있는 세그먼트 ${full}개)` : ''}. 이름을 누르면 상세 페이지로 이동합니다.`,
	segment: '세그먼트',
	stage: '단계',
	customers: '고객 수',
	customerShare: '고객 비중',
	revenue: '매출',
	revenueShare: '매출 비중',
	averageRevenue: '고객당 매출',
	averageDays: '최근 구매 후 일수',
	averageOrders: '고객당 주문 수',

	tableTitle: (name, money) => `고객당 매출 1위: ${name} (${money})`,
	tableQuestion: '세그먼트별 고객과 매출은?',
	tableUnit: '세그먼트별 고객과 매출, 고객당 평균. R·F·M은 최근성·빈도·금액 점수의 평균',
	tableNote: '모든 고객은 세 점수에 처음으로 맞는 규칙의 세그먼트 하나에만 속합니다. 매출은 환불을 뺀 금액이며, 단위는 주문 라인과 같습니다.',

	choose: '비교할 세그먼트',
	axes: { r: '최근성 (R)', f: '빈도 (F)', m: '금액 (M)' },
	scoresQuestion: '세그먼트별 RFM 점수는 어떻게 다른가?',
	scoresOne: (name, r, f, m) => `${name}의 평균 점수: 최근성 ${r}, 빈도 ${f}, 금액 ${m}`,
	scoresTitle: (axis, high, x, low, y) => `가장 큰 차이는 ${{ r: '최근성', f: '빈도', m: '금액' }[axis]}: ${high} ${x}, ${low} ${y}`,
	scoresUnit: '평균 점수. 높을수록 최근에, 자주, 많이 구매',
	scoresNote: '점수는 1부터 시작하는 등급이며 구간은 모델 설정에서 정합니다. 기본 설정에서 빈도 점수 3은 주문 1회입니다.',

	measure: '지표',
	all: '전체',
	gridQuestion: '어떤 점수 조합이 가장 많은가?',
	gridTitle: (measure, f, r, m, share) =>
		`${f ? `F = ${f} 중 ` : ''}${measure === 'customers' ? '고객이 가장 많은 조합' : '매출이 가장 큰 조합'}: R = ${r}, M = ${m} (${share})`,
	gridUnit: (measure, f) => `최근성·금액 점수별 ${measure === 'customers' ? '고객 수' : '매출'}${f ? ` (빈도 점수 ${f})` : ' (빈도 점수 전체)'}`,
	gridNote: '해당 점수 조합의 고객을 합한 값입니다. 셀을 가리키면 속한 세그먼트가 표시됩니다. 오른쪽 위일수록 최근에 많이 구매한 고객입니다.',

	dimension: '구분',
	legend: '세그먼트별 색상',
	unknown: '미상',
	others: (n) => `그 외 ${n}개`,
	ofCustomers: (n) => `고객 ${n}명`,
	breakdownQuestion: '세그먼트 구성은 어디에서 달라지는가?',
	breakdownOut: (name, share, above, below) => `${name} 비중(전체 ${share}): ${[
		above.length ? `${listed(above)}에서 뚜렷이 높음` : '', below.length ? `${listed(below)}에서 뚜렷이 낮음` : ''
	].filter(Boolean).join('; ')}`,
	breakdownSame: (name, share, dimension) => `${name} 비중(전체 ${share})은 ${dimension}에 따른 뚜렷한 차이 없음`,
	breakdownUnit: '항목별 고객 중 각 세그먼트의 비율 (%)',
	breakdownNote: '고객이 많은 항목부터 표시하며, 항목 옆 숫자는 고객 수입니다. 비중의 95 % 신뢰구간이 전체 비중을 포함하지 않을 때 뚜렷한 차이로 봅니다.',
	byChance: '항목이 많으면 스무 개 중 하나 정도는 우연히 벗어납니다.',
	breakdownNothing: '세그먼트를 나눌 계정, 상품, 구분 항목이 모델에 없거나 고객이 없습니다.',

	allSegments: '전체 세그먼트',
	around: '이전·다음 세그먼트',
	noSegment: (rank) => `${rank}번 세그먼트가 없습니다`,
	noSegmentHint: '링크가 만들어진 뒤 모델의 규칙이 바뀌었을 수 있습니다.',
	emptySegment: '현재 이 세그먼트에 속한 고객이 없습니다.',
	segmentIntro: (rank, all, stage, group) => `규칙 ${all}개 중 ${rank}번째 · 단계: ${stage}${group ? ` · 위험 그룹: ${group}` : ''}`,
	place: (n, all) => `${all}개 중 ${n}위`,
	shareOf: (share) => `전체의 ${share}`,
	allCustomers: (x) => `전체 평균 ${x}`,
	everyone: '전체 고객',

	planTitle: '액션 플랜',
	plan: { goal: '목표', action: '액션', timing: '시점' },
	noPlan: '이 세그먼트의 액션 문구가 모델에 없습니다. action_texts 테이블에 행을 추가하십시오.',
	campaign: (name, audience, added, cost, profit, roi) =>
		`캠페인 ‘${name}’: 대상 ${audience}명, 설정한 가정에서 예상 추가 매출 ${added}, 비용 ${cost}, 순이익 ${profit}, ROI ${roi}.`,
	identity: '이 ROI는 반응률과 무관하게 마진율, 혜택 비율, 운영비 비율만으로 정해집니다.',

	timingQuestion: '두 번째 주문까지 얼마나 걸리는가?',
	timingTitle: (share, bucket) => `두 번째 주문까지 가장 많은 구간: ${bucket} (${share})`,
	timingUnit: (n, days) => `두 번째 주문이 있는 고객 ${n}명 중 비율, 95 % 신뢰구간 포함. 평균 ${days}일`,
	timingNote: '전체 기간에 두 번째 주문을 한 고객만 대상으로 합니다. 재구매율이 아닙니다.',
	timingNothing: '이 세그먼트에는 두 번째 주문을 한 고객이 없습니다.',

	sharesUnit: '항목별 고객 중 이 세그먼트의 비율, 95 % 신뢰구간 포함',
	sharesNote: '고객이 많은 항목부터 표시하며, 항목 옆 숫자는 고객 수입니다. 신뢰구간이 전체 비중을 포함하지 않을 때 뚜렷한 차이로 봅니다.',
	detail: (n, of) => `고객 ${of}명 중 ${n}명`
};

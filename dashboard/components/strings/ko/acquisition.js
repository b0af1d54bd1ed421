const measures = {
	second: { name: '1년 내 재구매율' },
	after: { name: '첫 주문 이후 매출' },
	vip: { name: 'VIP 비율' }
};
const levels = { category: '카테고리', brand: '브랜드', product: '상품' };
const some = (names) => (names.length > 3 ? `${names.slice(0, 2).join(', ')} 외 ${names.length - 2}개` : names.join(', '));

export default {
	title: '우량 고객은 어디에서 오는가?',
	intro: '첫 구매 상품, 유입 채널, 가입 후 첫 주문까지의 기간별로 살펴봅니다.',
	level: '첫 구매 기준',
	levels: { category: '카테고리', brand: '브랜드', product: '상품' },
	measure: '지표',
	measures,
	customers: '고객 수',
	customersCount: (n) => `고객 ${n}명`,
	average: '전체',
	gatewayQuestion: '어떤 첫 구매가 우량 고객으로 이어지는가?',
	gatewayOverlap: (n, level, measure) => `${levels[level]} ${n}개의 신뢰구간이 모두 겹침: ${measures[measure].name}의 차이는 확인되지 않음`,
	gatewayOut: (above, below, measure) =>
		`${measures[measure].name}: ${[above.length ? `평균보다 높음 ${some(above)}` : '', below.length ? `평균보다 낮음 ${some(below)}` : ''].filter(Boolean).join(' / ')}`,
	gatewayApart: (upper, lower, measure) => `${measures[measure].name}: ${upper}, ${lower}보다 뚜렷하게 높음`,
	gatewayUnit: (level) => `점: 추정치, 선: 95 % 신뢰구간, 회색: 고객 수. 고객이 많은 ${levels[level]} 상위 20개`,
	gatewayNotes: {
		second: '첫 주문 후 365일 내에 두 번째 주문을 한 고객의 비율입니다(카플란–마이어: 아직 365일이 지나지 않은 고객은 관찰된 기간만큼 반영).',
		after: '첫 주문 금액을 제외한 고객당 매출입니다.',
		vip: 'VIP 단계 세그먼트에 속한 고객의 비율입니다. VIP는 금액 점수가 높아야 하므로, 첫 구매 금액이 크면 정의상 VIP가 되기 쉽습니다.'
	},
	byChance: (n) => `우연만으로도 신뢰구간 20개 중 1개는 평균을 벗어납니다(${n}개 중 약 ${Math.max(1, Math.round(n / 20))}개).`,
	gatewayNothing: (level) => level === 'category' ? '고객과 products 데이터가 필요합니다.' : '브랜드와 상품은 고객이 30명 이상일 때만 표시되며, 해당하는 항목이 없습니다.',
	accountsNothing: '고객과 accounts 데이터가 필요합니다.',
	channelNothing: 'accounts 데이터와 VIP 또는 유망 고객이 필요합니다.',
	tableTitle: (level) => `첫 구매 ${levels[level]}별 상세 수치`,
	tableNote: 'VIP는 금액 점수가 높아야 하므로 첫 구매 금액이 크면 정의상 VIP가 되기 쉽습니다. 재구매율과 첫 주문 이후 매출은 그 영향을 받지 않습니다.',
	columns: {
		name: '첫 구매', customers: '고객 수', second: '1년 내 재구매율', after: '첫 주문 이후 매출', vip: 'VIP 비율', interval: '95 % 신뢰구간'
	},
	channelQuestion: '채널에 따라 VIP 전환이 다른가?',
	channelSame: (p) => `채널 간 차이는 우연의 범위를 벗어나지 않음 (p\u00a0${p})`,
	channelDiffer: (p, best, worst) => `채널 간 차이가 있음 (p\u00a0${p}): 최고 ${best}, 최저 ${worst}`,
	channelTooFew: '채널 간 차이를 검정하기에는 고객이 부족함',
	channelUnit: '활성 고객(VIP + 유망) 중 VIP 비율과 95 % 신뢰구간, 회색: 활성 고객 수',
	channelNotes: {
		same: '모든 채널의 비율이 같다는 가설의 카이제곱 검정으로, p가 0.05 미만이면 차이가 있다고 봅니다. 채널 간 예산을 옮길 근거가 없습니다.',
		differ: '모든 채널의 비율이 같다는 가설의 카이제곱 검정입니다. 차이는 있지만 획득 비용은 모델에 없으므로, 예산을 옮기기 전에 함께 따져 보아야 합니다.',
		few: '카이제곱 검정에는 활성 고객이 있는 채널이 둘 이상, 기대 빈도가 5 이상이어야 합니다. 검정 없이는 예산을 옮길 근거가 없습니다.'
	},
	active: (n) => `활성 ${n}명`,
	channelDetail: (customers, vip, active) => `활성 고객 ${active}명 중 VIP ${vip}명, 전체 고객 ${customers}명`,
	unknown: '알 수 없음',
	repurchaseQuestion: '일찍 구매한 고객이 재구매도 많이 하는가?',
	vipQuestion: '일찍 구매한 고객이 VIP가 되는가?',
	timingOverlap: (measure) => `${measure}: 가입 후 경과일에 따른 차이는 확인되지 않음`,
	timingApart: (measure, upper, upperRate, lower, lowerRate) => `${measure}: ${upper} ${upperRate}, ${lower} ${lowerRate}`,
	repurchase: '재구매율',
	vip: 'VIP 비율',
	repurchaseUnit: '두 번 이상 주문한 고객의 비율과 95 % 신뢰구간, 가입일부터 첫 주문까지의 일수별',
	vipUnit: 'VIP 세그먼트 고객의 비율과 95 % 신뢰구간, 가입일부터 첫 주문까지의 일수별',
	timingNote: '구매 속도만의 효과가 아닙니다. 가입 직후에 구매한 고객은 그 후 재구매할 시간이 대체로 더 길었습니다.',
	vipTimingNote: 'VIP는 최근 주문, 두 번 이상의 주문, 높은 금액이 조건이므로, 여기서도 첫 주문 이후 지난 시간이 길수록 유리합니다.',
	leftOut: (names) => `고객이 30명 미만인 구간은 제외했습니다: ${names}.`
};

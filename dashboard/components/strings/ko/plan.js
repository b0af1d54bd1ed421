import { names } from '../names.js';

// Whom a campaign addresses.
const audiences = { 'inactive promising high': '재방문 없는 유망 고가치', 'inactive promising low': '재방문 없는 유망 저가치', 'recent one-order': '최근 1회 구매' };
const audience = (members) => {
	const segment = members.replace(/^in the segment /, '');
	return audiences[members] ?? `세그먼트 ${names.ko.segment[segment] ?? segment}`;
};

export default {
	title: '무엇을 하고, 무엇을 얻는가?',
	intro: '캠페인의 반응률과 전환율은 campaigns 테이블에 관측 고객 수가 입력되기 전까지는 측정값이 아니라 가정입니다.',
	figuresRemark: '전체 캠페인, 고객 중복 제외',
	audience: '대상 고객',
	addedRevenue: '추가 매출',
	cost: '비용',
	netProfit: '순이익',
	roi: 'ROI',
	roiRemark: '순이익 ÷ 비용',
	roas: 'ROAS',
	roasRemark: '추가 매출 ÷ 비용',
	planTitle: (name, revenue, share) => `대상 매출이 가장 큰 세그먼트: ${name} ${revenue} (${share})`,
	planQuestion: '누구에게, 무엇을, 언제?',
	planNote: '고객 수와 지금까지의 매출입니다. 문구는 action_texts 테이블에서 수정할 수 있습니다.',
	size: (customers, revenue) => `고객 ${customers}명, 매출 ${revenue}`,
	action: '실행',
	timing: '시점',
	noText: 'action_texts 테이블에 이 세그먼트의 문구가 없습니다.',
	roiTitle: (roi, some, all) => `캠페인 ${all}개 중 ${some}개의 ROI ${roi}는 계산 구조의 결과: 마진율, 인센티브율, 운영비율만으로 정해짐`,
	roiTitleMixed: (some, all) => `캠페인 ${all}개 중 ${some}개의 ROI는 반응과 무관하게 마진율, 인센티브율, 운영비율만으로 정해짐`,
	roiTitleFree: (net, roi) => `전체 캠페인: 순이익 ${net}, ROI ${roi}`,
	roiQuestion: '캠페인의 수익과 비용은?',
	roiUnit: 'campaigns 테이블의 비율에 따른 기댓값, 금액은 주문 라인의 단위',
	roiNote: '순이익은 추가 매출의 마진에서 비용을 뺀 값이고, 비용은 모든 구매자의 인센티브, 운영비, 접촉비, 고정비의 합입니다. 기준 구매율은 캠페인 없이도 구매했을 고객의 비율입니다. ROI = 순이익 ÷ 비용, ROAS = 추가 매출 ÷ 비용.',
	note: (text) => text
		?.replace(/^ROI is (-?\d+) % by construction: .*$/, 'ROI $1 %는 계산 구조의 결과: 반응과 무관하게 마진율, 인센티브율, 운영비율만으로 정해짐')
		.replace(/^It addresses nobody: no customer is (.+?)(, or the model has no visits to tell)?$/, (_, members, visits) =>
			`대상 없음: ${audience(members)}에 해당하는 고객이 없음${visits ? ' (또는 모델에 방문 데이터가 없음)' : ''}`),
	columns: {
		campaign: '캠페인', audience: '대상 고객', response: '반응률', conversion: '전환율', baseline: '기준 구매율', added: '추가 매출', cost: '비용',
		net: '순이익', range: '5–95 %', roi: 'ROI', roas: 'ROAS'
	},
	netTitle: (name, net) => `가정대로라면 순이익 1위는 ‘${name}’: ${net}`,
	netLoss: (name, net) => `이 비율에서는 이익이 나는 캠페인이 없음, 손실이 가장 작은 캠페인은 ‘${name}’: ${net}`,
	netQuestion: '순이익이 가장 큰 캠페인은?',
	netUnit: '예상 순이익, 금액은 주문 라인의 단위',
	netNoteKnown: '선은 비율이 관측된 고객 수를 아는 캠페인의 시뮬레이션 결과 5–95 백분위 구간입니다. 두 캠페인의 대상인 고객은 양쪽에 모두 포함됩니다.',
	netNoteAssumed: '비율이 가정이므로 구간이 없습니다. campaigns에 표본 크기(response_n, conversion_n)를 입력하면 구간이 표시됩니다. 두 캠페인의 대상인 고객은 양쪽에 모두 포함됩니다.',
	probability: (share) => `시뮬레이션의 ${share}에서 이익`,
	detail: (audience, cost) => `대상 고객 ${audience}명, 비용 ${cost}`,
	breakTitle: (name, conversion, least) => `모든 캠페인의 전환율이 손익분기를 넘음, 여유가 가장 작은 캠페인: ‘${name}’ ${conversion} (손익분기 ${least})`,
	breakLoss: (some, all) => `캠페인 ${all}개 중 ${some}개는 이 비율에서 손실`,
	breakZero: '손익분기 전환율 0 %는 계산 구조의 결과: 첫 판매 전에 회수할 비용이 없음',
	breakQuestion: '전환율은 손익분기에서 얼마나 떨어져 있는가?',
	breakUnit: '반응한 고객 중 구매하는 비율',
	breakNote: '손익분기는 캠페인의 반응률에서 순이익이 0이 되는 전환율입니다. 기준 구매율, 접촉비, 고정비가 없으면 0 %입니다. 원이 없으면 그런 전환율이 없거나 모든 전환율이 해당합니다.',
	least: '손익분기',
	assumed: '가정',
	observed: '관측',
	campaign: '캠페인',
	measure: '지표',
	measures: { net: '순이익', roi: 'ROI' },
	planeProfit: (name) => `‘${name}’: 어떤 비율에서도 이익`,
	planeLoss: (name) => `‘${name}’: 어떤 비율에서도 손실`,
	planeMixed: (name, response, least, conversion) => `‘${name}’: 반응률 ${response}일 때 전환율 ${least}부터 이익 (설정값 ${conversion})`,
	planeSome: (name, share) => `‘${name}’: 칸의 ${share}에서 이익`,
	planeQuestion: '비율이 달라지면 어떻게 되는가?',
	planeUnit: { net: '반응률과 전환율에 따른 예상 순이익', roi: '반응률과 전환율에 따른 ROI' },
	planeNote: '각 칸은 다른 조건을 그대로 두고 두 비율만 바꾼 결과입니다. 초록은 이익, 빨강은 손실, 흰색과 점선은 순이익 0입니다.',
	planeConstruction: 'ROI는 계산 구조상 모든 칸에서 같으므로 비율에 대해 알려 주는 것이 없습니다.',
	nobody: '이 캠페인의 대상 고객이 없어 계산할 것이 없습니다.',
	response: '반응률',
	conversion: '전환율'
};

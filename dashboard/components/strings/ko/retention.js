export default {
	title: '누가 남는가?',
	intro: '월별로 어떤 고객이 다시 구매하고, 세그먼트 사이를 어떻게 이동하는지 봅니다.',

	cohortTitle: (last, rate, low, high) => `${last ? `최근 ${last}개 코호트` : '전체 코호트'}의 첫 구매 다음 달 리텐션 ${rate}${low === high ? '' : `, 코호트별 ${low} ~ ${high}`}`,
	cohortQuestion: '월별로 어떤 고객이 다시 구매하는가?',
	cohortUnit: '리텐션(%): 해당 월에 구매한 코호트 고객의 비율. 코호트: 첫 주문 월 (고객 수)',
	cohortNote: '월은 달력 기준이며, 모두가 구매한 0개월차는 제외했습니다. *와 점선: 아직 끝나지 않은 달. 회색: 고객 30명 미만 코호트로, 구매자 한 명이 3 %를 넘으므로 색상 척도에서 제외했습니다.',
	cohortX: '첫 주문 후 경과 개월',
	rate: '리텐션',
	shown: '코호트',
	last: (n) => `최근 ${n}개`,
	all: '전체',
	cohortTip: (month, since, rate, active, customers) => `${month} 코호트, ${since}개월차<br><b>${rate}</b><br>고객 ${customers}명 중 ${active}명`,
	unfinished: '아직 끝나지 않은 달',

	averageTitle: (first, last) => last
		? `평균 리텐션: ${first.months}개월차 ${first.rate}, ${last.months}개월차 ${last.rate}`
		: `평균 리텐션: ${first.months}개월차 ${first.rate}`,
	averageQuestion: '리텐션은 어떻게 이어지는가?',
	averageUnit: '첫 주문 후 경과 개월별 평균 리텐션. 음영: 95 % 신뢰구간',
	averageX: '첫 주문 후 경과 개월',
	averageNote: '전체 코호트 합산: 해당 월에 구매한 고객 수를, 그 월이 이미 끝난 코호트의 고객 수로 나눈 값입니다. 뒤로 갈수록 코호트가 적어지며, 고객이 30명 미만이면 표시하지 않습니다. 신뢰구간은 Wilson 방식입니다.',
	averageMonth: (months) => `${months}개월차`,
	averageTip: (active, customers) => `고객 ${customers}명 중 ${active}명`,

	daysBack: '비교 시점',
	daysAgo: (days) => `${days}일 전`,
	moveTitle: (lost, vip, days, gained) => `${days}일 전 VIP ${vip}명 중 ${lost}명이 VIP에서 이탈, ${gained}명이 새로 VIP 진입`,
	moveAnyTitle: (moved, customers, days) => `${days}일 전 고객 ${customers}명 중 ${moved}명이 다른 세그먼트로 이동`,
	moveNewTitle: (customers, days) => `고객 ${customers}명 모두 신규: ${days}일 전에는 고객 없음`,
	moveQuestion: '고객은 세그먼트 사이를 어떻게 이동하는가?',
	moveUnit: (days) => `${days}일 전 세그먼트(왼쪽)와 현재 세그먼트(오른쪽)별 고객 수`,
	moveNote: '규칙과 설정은 현재 기준입니다. 신규: 당시에는 고객이 아니었던 경우. 이탈: 모든 주문이 분석 기간에서 벗어난 경우. 이후 취소된 주문은 취소 시점 정보가 없으면 당시에도 없는 것으로 봅니다.',
	moveNeeds: '모델 소유자만 계산할 수 있습니다. 소유자 권한으로 대시보드를 빌드하십시오.',
	moveTip: (source, target, customers, revenue) => `${source} → ${target}<br>고객 <b>${customers}</b>명<br>매출 ${revenue}`,

	tableTitle: (source, target, customers) => `가장 큰 이동: ${source} → ${target}, ${customers}명`,
	tableNobody: '다른 세그먼트로 이동한 고객 없음',
	tableQuestion: '누가 어디로 이동했는가?',
	tableUnit: (days) => `${days}일 전부터 현재까지`,
	tableNote: '매출은 현재 기준이며, 이탈 고객의 매출은 당시 기준입니다. 비중은 당시 세그먼트 고객 대비입니다.',
	source: '당시',
	target: '현재',
	customers: '고객 수',
	share: '비중',
	revenue: '매출'
};

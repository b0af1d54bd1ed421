// Names that come with the data, as the views spell them, in other languages than English. What is not listed (a shop's own segments,
// categories, countries) is shown as it is.
export const names = {
	ko: {
		segment: {
			'VIP Champions': 'VIP 챔피언',
			'Loyal High Value': '충성 고가치',
			'Loyal Low Value': '충성 저가치',
			'Promising High Value': '유망 고가치',
			'Promising Low Value': '유망 저가치',
			'Need Attention': '관심 필요',
			'At Risk': '이탈 위험',
			Hibernating: '휴면',
			Others: '기타'
		},
		dimension: { channel: '유입 채널', first_category: '첫 구매 카테고리', country: '국가', gender: '성별' },
		risk_group: { growth: '성장', attention: '관심 필요', 'churn risk': '이탈 위험', other: '기타' },
		speed_class: { quick: '빠름', medium: '보통', slow: '느림' },
		bucket: {
			'<= 7 days': '7일 이내',
			'<= 14 days': '14일 이내',
			'<= 30 days': '30일 이내',
			'<= 60 days': '60일 이내',
			'<= 90 days': '90일 이내',
			'> 90 days': '90일 초과',
			'before sign-up': '가입 전',
			'same day': '가입 당일',
			'1-7 days': '1–7일',
			'8-30 days': '8–30일',
			'31-90 days': '31–90일',
			'91-365 days': '91–365일',
			'> 365 days': '365일 초과'
		},
		stage: { vip: 'VIP', loyal: '충성', promising: '유망', attention: '관심 필요', risk: '이탈 위험', other: '기타' },
		// the texts that a new model starts with
		action_text: {
			'Keep them, and let them bring others': '유지하고, 추천으로 새 고객을 데려오게 하기',
			'One order more within 90 days': '90일 이내 추가 주문 1회',
			'A larger basket': '객단가 높이기',
			'The second order': '두 번째 주문',
			'The second order, at low cost': '적은 비용으로 두 번째 주문 유도',
			'Win them back while they remember': '기억이 남아 있을 때 되찾기',
			'Any order before they are gone': '이탈 전에 무엇이든 한 번 더 주문',
			'Find the few who still read': '아직 반응하는 소수 찾기',
			'A habit of ordering': '주문 습관 만들기',
			'A good start': '좋은 첫 경험',
			'Win them back at almost any price': '비용이 들더라도 되찾기',
			'Know them': '먼저 파악하기',
			'Early access, a personal contact, a reward for recommending; no discounts': '선공개, 전담 담당자, 추천 보상. 할인은 하지 않음',
			'Bundles and refills of what they buy; show what is missing to VIP': '구매 상품의 묶음·재구매 제안, VIP까지 남은 조건 안내',
			'Free shipping from a sum above their usual basket, sets instead of single pieces': '평소 객단가보다 높은 금액부터 무료 배송, 낱개 대신 세트 제안',
			'Thank you, how-to-use, accessories for the first purchase, then an offer with an end date': '감사 메시지, 사용법, 첫 구매 상품의 액세서리 안내 후 기한이 있는 혜택',
			'Automatic mail: best sellers of the first category, small voucher at the end': '자동 메일: 첫 구매 카테고리의 베스트셀러, 마지막에 소액 쿠폰',
			'A personal message naming what they bought, a strong offer for a short time': '구매 상품을 언급한 개인화 메시지, 짧은 기간의 강한 혜택',
			'Reminder with what is new since their order, one voucher': '마지막 주문 이후의 신상품 알림, 쿠폰 1회',
			'One cheap campaign a season; who does not open it leaves the list': '시즌마다 저비용 캠페인 1회, 열어 보지 않으면 발송 목록에서 제외',
			'Membership, bundles and refills of what they buy': '멤버십, 구매 상품의 묶음·재구매 제안',
			'Sets instead of single pieces, free shipping from a sum above their usual basket': '낱개 대신 세트 제안, 평소 객단가보다 높은 금액부터 무료 배송',
			'Accessories for the first purchase, then an offer with an end date': '첫 구매 상품의 액세서리 안내 후 기한이 있는 혜택',
			'Thank you, how-to-use, best sellers of the first category': '감사 메시지, 사용법, 첫 구매 카테고리의 베스트셀러',
			'A call or a letter, their former contact, a strong offer': '전화 또는 편지, 기존 담당자의 연락, 강한 혜택',
			'Reminder with what is new, one voucher': '신상품 알림, 쿠폰 1회',
			'Nothing of their own; read their scores before you spend on them': '별도 액션 없음. 비용을 쓰기 전에 점수부터 확인',
			'Within 3 days of each order; a thank-you on every anniversary of the first order': '주문 후 3일 이내, 첫 주문 기념일마다 감사 인사',
			'Day 14 and 45 after each order': '주문 후 14일, 45일',
			'At the next visit; day 21 after each order': '다음 방문 시, 주문 후 21일',
			'Day 1, 3, 7, 14 and 30 after the first order': '첫 주문 후 1, 3, 7, 14, 30일',
			'Day 3, 14 and 30 after the first order': '첫 주문 후 3, 14, 30일',
			'Now, then once more after 14 days; day 180 after the last order from now on': '지금 바로, 14일 후 한 번 더. 앞으로는 마지막 주문 후 180일',
			'Day 180, 210 and 240 after the first order': '첫 주문 후 180, 210, 240일',
			'Twice a year, before the season': '연 2회, 시즌 시작 전',
			'Day 21 after each order': '주문 후 21일',
			'Day 3, 7, 14 and 30 after the first order': '첫 주문 후 3, 7, 14, 30일',
			'Now, then once more after 14 days': '지금 바로, 14일 후 한 번 더',
			'Now, then day 30': '지금 바로, 이후 30일째',
			'At the next review of the rules': '다음 규칙 점검 시'
		},
		campaign: {
			'1-A wake Promising High Value': '1-A 유망 고가치 고객 활성화',
			'1-B wake Promising Low Value': '1-B 유망 저가치 고객 활성화',
			'2 second order within 90 days': '2 90일 내 재구매 유도',
			'3 win back Need Attention': '3 관심 필요 고객 윈백',
			'3 win back At Risk': '3 이탈 위험 고객 윈백',
			'3 win back Hibernating': '3 휴면 고객 윈백',
			Total: '합계'
		},
		note: {
			'Nobody to take an order value from: set order_value in campaigns': '주문 금액을 구할 고객이 없음: campaigns의 order_value 지정 필요',
			'The margin of the model is not between -1 and 1: correct the costs of the products, or set margin_rate in campaigns':
				'모델의 마진율이 -1과 1 사이가 아님: 상품 원가를 바로잡거나 campaigns의 margin_rate 지정 필요',
			'Each customer counts once, for the first campaign that addresses him': '고객은 처음 해당하는 캠페인에서 한 번만 집계'
		},
		migration: { New: '신규', Gone: '이탈' }
	},
	en: {
		dimension: { first_category: 'first category' },
		stage: { vip: 'VIP' }
	}
};

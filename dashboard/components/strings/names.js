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
		}
	}
};

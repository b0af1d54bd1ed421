SELECT rfm.create_model('shop', 'order_lines', 'people', 'products', 'visits', as_of => '2024-01-02', dimensions => '{country,age}');
SELECT rfm.create_model('texts', 'text_lines', 'text_accounts', 'text_products', as_of => '2024-01-02', time_zone => 'Asia/Tokyo', lookback => '1 year 3 months',
	rules => 'classic', recency_fractions => '{0.2,0.4,0.6,0.8}', frequency_fractions => '{0.2,0.4,0.6,0.8}', monetary_fractions => '{0.2,0.4,0.6,0.8}');
SELECT rfm.create_model('voided', 'voided_lines', 'people', 'products', as_of => '2023-12-15', time_zone => 'America/New_York', dimensions => '{score}', excluded_statuses => '{}');
SELECT rfm.create_model('uuids', 'uuid_lines', as_of => '2024-01-02', monetary_fractions => '{0,0.31,0.999,1}');
SELECT rfm.create_model('Live', 'order_lines', 'people', 'products', 'visits', storage => 'view', as_of => '2023-10-02', dimensions => '{country}', recency_fractions => '{0.5}');
SELECT rfm.create_model('nobody', 'no_lines', as_of => '2024-01-02');
SELECT rfm.create_model('somebody', 'one_line', as_of => '2024-01-02');
SELECT rfm.create_model('huge', 'huge_lines', as_of => '2024-01-02');

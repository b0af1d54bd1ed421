-- Late lines, corrections, customers who go and come, a product that is dearer; then other settings; each refresh at a moment
-- of its own, so that there is history.
INSERT INTO lines SELECT 10000 + i, 1 + i % 900, 'n' || i, timestamp '2024-01-02' + i * interval '3 hours', 12.5, 'Complete', 1 + i % 50 FROM generate_series(1, 300) i;
DELETE FROM lines WHERE user_id IN (5, 6, 7);
UPDATE lines SET status = 'Returned' WHERE user_id % 17 = 0;
UPDATE lines SET amount = amount * 3 WHERE user_id % 19 = 0;
UPDATE products SET cost = cost + 1 WHERE product_id < 20;
UPDATE accounts SET channel = 'phone' WHERE id % 23 = 0;
INSERT INTO events SELECT user_id, 'extra ' || line, ordered_at + interval '2 days' FROM lines WHERE line BETWEEN 100 AND 200;
SELECT rfm.configure_model('shop', as_of => '2024-02-10');
CALL rfm.refresh('shop');
SELECT rfm.configure_model('shop', as_of => '2024-03-10', lookback => '500 days', dimensions => '{age,score}', monetary_fractions => '{0.1,0.5,0.9}');
UPDATE shop.segment_rules SET segment = 'Best of all' WHERE rule_order = 1;
CALL rfm.refresh('shop');
-- back, and forth again with a customer less
SELECT rfm.configure_model('shop', as_of => '2024-02-20');
CALL rfm.refresh('shop');
DELETE FROM lines WHERE user_id IN (8, 9);
SELECT rfm.configure_model('shop', as_of => '2024-04-01');
CALL rfm.refresh('shop');
DELETE FROM text_lines WHERE customer_id IN ('c1', 'C1');
SELECT rfm.configure_model('texts', as_of => '2024-01-20', time_zone => 'UTC', unset => '{lookback}');
CALL rfm.refresh('texts');
INSERT INTO no_lines VALUES (1, 1, '2023-12-31Z', 0.5);
CALL rfm.refresh('nobody');
DELETE FROM one_line;
CALL rfm.refresh('somebody');
SELECT rfm.configure_model('uuids', recency_cutoffs => '{100,200}');
CALL rfm.refresh('uuids', full_rebuild => true);
SELECT rfm.configure_model('Live', as_of => '2023-12-01');
CALL rfm.refresh('Live');
SELECT rfm.configure_model('voided', storage => 'view');
CALL rfm.refresh('voided');
SELECT rfm.configure_model('voided', storage => 'table');
CALL rfm.refresh('voided');

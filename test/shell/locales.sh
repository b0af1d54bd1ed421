#!/usr/bin/env bash
# Databases of other locales, and columns whose collation takes different texts for equal: every answer is that of a database
# with C. Locales of the system that are not there are skipped.
#
# shellcheck disable=SC2154
set -euo pipefail

include=$RFM_SOURCE_DIR/test/shell/include
. "$include/tap.sh"

directory=$(mktemp -d)
export PGDATABASE=postgres PGOPTIONS='-c client_min_messages=error'

finish() {
	local database
	end_jobs
	for database in $(sql -d postgres -c "SELECT datname FROM pg_database WHERE datname LIKE 'locales%'"); do
		dropdb --force "$database"
	done
	rm -rf "$directory"
}
trap finish EXIT

# Makes the models in the current database: COLLATION of the columns.
make_models() {
	sql -o /dev/null -v collation="$1" -v as_it_is="$([ "$1" = default ] && echo 1 || echo 0)" <<-'SQL'
		CREATE EXTENSION rfm_segments;
		SELECT NOT :as_it_is::boolean AS other \gset
		\if :other
			CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level1', deterministic = false);
		\endif
		-- ids, statuses and so on that some locales sort otherwise, or write otherwise in upper case, or take for equal
		CREATE TABLE word (i int GENERATED ALWAYS AS IDENTITY (MINVALUE 0), word text COLLATE "C");
		INSERT INTO word (word) VALUES ('i'), ('I'), ('ı'), ('İ'), ('a'), ('A'), ('á'), (U&'a\0301'), ('ab'), ('a-b'), ('a b'), ('AB'), ('ß'), ('ss'), ('Z'), ('z'),
			('ä'), ('10'), ('9'), ('०'), (''), (' '), ('ch'), ('h'), ('%'), ('_'), ('Complete'), ('complete');
		CREATE FUNCTION word(i int) RETURNS text LANGUAGE sql AS 'SELECT word FROM word WHERE word.i = $1 % 28';
		CREATE TABLE lines (customer_id text COLLATE :"collation", order_id text COLLATE :"collation", ordered_at timestamp, amount numeric, status text COLLATE :"collation", product_id text COLLATE :"collation");
		CREATE TABLE accounts (customer_id varchar COLLATE :"collation", channel text COLLATE :"collation", signed_up_at date, dim text COLLATE :"collation");
		CREATE TABLE products (product_id text COLLATE :"collation", category text COLLATE :"collation", brand text COLLATE :"collation", name text COLLATE :"collation", cost numeric);
		CREATE TABLE visits (customer_id text COLLATE :"collation", session_id text COLLATE :"collation", visited_at timestamp);
		INSERT INTO lines SELECT word(i * i + i / 28), word(i) || i / 3 % 28 || word(i / 5), timestamp '2023-12-30' - i * interval '7 hours', i % 37, word(i * 3), word(i / 2) FROM generate_series(1, 1500) i;
		-- several for one customer, of which the smallest counts
		INSERT INTO accounts SELECT word(i), word(i * 5), date '2021-01-01' + i % 28, word(i / 3) FROM generate_series(1, 80) i;
		INSERT INTO products SELECT word(i), word(i / 2), word(i / 4), word(i * 3), i % 9 FROM generate_series(1, 50) i;
		INSERT INTO visits SELECT word(i), word(i * 3) || i % 4, timestamp '2023-06-01' + i * interval '3 hours' FROM generate_series(1, 1000) i;
		CREATE INDEX ON lines (customer_id);
		SELECT rfm.create_model('in_' || s, 'lines', 'accounts', 'products', 'visits', as_of => '2024-01-01', storage => s, dimensions => '{dim}',
			excluded_statuses => '{complete,I,á,%,a b}') FROM unnest('{table,materialized,view}'::text[]) s;
		SELECT rfm.track_changes('in_table', 'lines', 'customer_id'), rfm.track_changes('in_table', 'accounts', 'customer_id'),
			rfm.track_changes('in_table', 'products', NULL), rfm.track_changes('in_table', 'visits', 'customer_id');
		CALL rfm.refresh('in_table');
		SELECT rfm.configure_model('in_table', as_of => '2024-01-02');
		UPDATE in_table.segment_rules SET segment = 'İ' WHERE rule_order = 1;
		UPDATE in_table.segment_rules SET segment = 'i' WHERE rule_order = 2;
		CALL rfm.refresh('in_table');
	SQL
}

# Changes some customers whose ids others share a collation with, and refreshes.
change() {
	sql -o /dev/null <<-'SQL'
		UPDATE lines SET amount = amount + 100 WHERE customer_id COLLATE "C" IN ('I', 'á');
		UPDATE lines SET customer_id = 'A' WHERE customer_id COLLATE "C" = 'a' AND amount > 20;
		DELETE FROM lines WHERE customer_id COLLATE "C" = 'ss';
		UPDATE accounts SET channel = 'Z' WHERE customer_id COLLATE "C" = 'İ';
		CALL rfm.refresh('in_table');
		CALL rfm.refresh('in_materialized');
	SQL
}

# What the models answer: every view, and the functions for all words.
answers() {
	sql -f "$include/answers.sql"
	# a category without customers is an error, the same everywhere
	sql -v ON_ERROR_STOP=0 2>&1 <<-'SQL' | sed 's/since the refresh at [-0-9:. ]*/since then/'
		SELECT format('SELECT %L, f::text COLLATE "C" FROM %I.%s f ORDER BY 2', m.model, m.model, c.call) FROM rfm.models m, (
			SELECT format('explain_customer(%L)', word) FROM word
			UNION ALL SELECT format('gateway_lift(%L, %L)', a.word, b.word) FROM word a JOIN word b ON b.i = a.i + 1
			UNION ALL VALUES ('customers_at(''2023-09-01'')'), ('segment_migration(''2023-09-01'')')) c(call) WHERE m.model <> 'in_view' OR c.call !~ '^explain'
			ORDER BY m.model, c.call COLLATE "C" \gexec
		SELECT model, f::text COLLATE "C" FROM rfm.models, rfm.check_model(model) f ORDER BY 1, 2;
		SELECT model, f::text COLLATE "C" FROM rfm.models, rfm.check_rules(model) f ORDER BY 1, 2;
	SQL
}

# Compares a database with the first: DESCRIPTION COLLATION
compare() {
	make_models "$2" 2>"$directory/said" || :
	is "$1: models are made" "$(cat "$directory/said")" ''
	answers >"$directory/got" 2>&1
	is "$1: every answer is that of C" "$(diff "$directory/got" "$directory/first" | head -n 20)" ''
	change 2>"$directory/said" || :
	is "$1: and changes are found" "$(cat "$directory/said")" ''
	is "$1: by an incremental refresh" "$(sql -c 'SELECT mode, reason, error FROM in_table.refresh_log ORDER BY refresh_id DESC LIMIT 1')" \
		'incremental|customers that changed or came due: 6|'
	answers >"$directory/got" 2>&1
	is "$1: with the same answers" "$(diff "$directory/got" "$directory/second" | head -n 20)" ''
}

createdb -T template0 --locale=C --encoding=UTF8 locales_c
export PGDATABASE=locales_c
make_models default
answers >"$directory/first"
change
answers >"$directory/second"
is 'C: there are answers' "$(wc -l <"$directory/first")" '[0-9][0-9][0-9][0-9]*'
is 'C: others after a change' "$(diff -q "$directory/first" "$directory/second")" '*differ'
sql -o /dev/null -c "CALL rfm.refresh('in_table', full_rebuild => true)"
answers >"$directory/got"
is 'C: those of a full rebuild' "$(diff "$directory/got" "$directory/second" | head -n 20)" ''

skip() {
	tests=$((tests + 1))
	echo "ok $tests - $1 # SKIP $2"
}

for locale in en_US tr_TR; do
	if createdb -T template0 --locale="$locale.UTF-8" --encoding=UTF8 "locales_$locale" 2>/dev/null; then
		PGDATABASE=locales_$locale compare "$locale" default
	else
		skip "$locale" 'the system does not have it'
	fi
done
if [ "$(sql -c "SELECT count(*) > 0 FROM pg_collation WHERE collprovider = 'i'")" = f ]; then
	skip ICU 'this server was built without it'
	done_testing
	exit
fi
for locale in en-US tr-TR; do
	createdb -T template0 --locale-provider=icu --icu-locale="$locale" --encoding=UTF8 "locales_icu_$locale"
	PGDATABASE=locales_icu_$locale compare "$locale of ICU" default
done
createdb -T template0 --locale-provider=icu --icu-locale=tr-TR --encoding=UTF8 locales_loose
PGDATABASE=locales_loose compare 'collations that take different texts for equal' loose
done_testing

"""The measurements of make bench; run by bench.sh, which has made the server and points the clients at it.

    bench.py SCALE ROUNDS DIRECTORY RESULTS

Every job is first run once on every system and the answers are compared; then the systems run it in turn, ROUNDS times.
"""

import decimal
import json
import math
import os
import re
import statistics
import subprocess
import sys
import threading
import time

import psycopg2

HERE = os.path.dirname(os.path.abspath(__file__))
AS_OF = '2024-01-21'
OURS, SQL, DUCKDB, PANDAS = 'rfm_segments', 'hand-written SQL', 'DuckDB', 'pandas'
FRACTIONS = '{0.25,0.50,0.75,0.95}'

# What the contenders need, as they would export it: the columns of the contract, and only events of known users.
TABLES = {
    'order_items': ('SELECT order_id, user_id, product_id, created_at, status, sale_price FROM order_items',
                    'order_id INTEGER, user_id INTEGER, product_id INTEGER, created_at TIMESTAMP, status VARCHAR, sale_price DOUBLE'),
    'users': ('SELECT id, traffic_source, created_at, country, gender FROM users',
              'id INTEGER, traffic_source VARCHAR, created_at TIMESTAMP, country VARCHAR, gender VARCHAR'),
    'products': ('SELECT id, category, brand, name, cost FROM products',
                 'id INTEGER, category VARCHAR, brand VARCHAR, name VARCHAR, cost DOUBLE'),
    'events': ('SELECT user_id, session_id, created_at FROM events WHERE user_id IS NOT NULL',
               'user_id INTEGER, session_id VARCHAR, created_at TIMESTAMP'),
    'amounts_numeric': ('SELECT amount FROM amounts_numeric', 'amount DECIMAL(18,2)'),
    'amounts_float8': ('SELECT amount FROM amounts_float8', 'amount DOUBLE'),
    'measures': ('SELECT days, orders, amount FROM measures', 'days INTEGER, orders BIGINT, amount DECIMAL(18,2)'),
}
MODEL_TABLES = ('order_items', 'users', 'products', 'events')
ANALYSES = ('overview', 'segments', 'segment_breakdown', 'score_cells', 'pareto', 'churn_risk', 'promising_activity', 'gateway_products',
            'channel_maturity', 'repurchase_timing', 'repurchase_curve', 'first_purchase_timing', 'cohort_retention', 'action_plan', 'roi')


def log(message):
    print(message, flush=True)


def sql_file(system, name):
    """The statements of a file: a list of (name, SQL)."""
    with open(os.path.join(HERE, system, name + '.sql')) as file:
        text = re.sub(r'^\s*--(?! name:).*\n', '', file.read(), flags=re.M)
    parts = re.split(r'^-- name: (\w+)\n', text, flags=re.M)
    if len(parts) == 1:
        return [(name, text.strip().rstrip(';'))]
    return [(parts[i], parts[i + 1].strip().rstrip(';')) for i in range(1, len(parts), 2)]


# ---------- systems ----------

class Postgres:
    """A session of the server."""

    def __init__(self, database='thelook', settings=()):
        self.connection = psycopg2.connect(dbname=database)
        self.connection.autocommit = True
        self.cursor = self.connection.cursor()
        for setting in settings:
            self.cursor.execute('SET ' + setting)

    def run(self, sql, fetch=False):
        """Seconds, columns and rows of one statement."""
        start = time.perf_counter()
        self.cursor.execute(sql)
        rows = self.cursor.fetchall() if fetch else None
        seconds = time.perf_counter() - start
        return seconds, [d[0] for d in self.cursor.description] if fetch else None, rows

    def value(self, sql):
        return self.run(sql, True)[2][0][0]

    def close(self):
        self.connection.close()


class Child:
    """DuckDB or pandas in a process of its own, spoken to in lines of JSON."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, question):
        self.process.stdin.write(json.dumps(question) + '\n')
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError('%s ended' % self.process.args[0])
        answer = json.loads(line)
        if 'error' in answer:
            raise RuntimeError('%s\n%s' % (answer['error'], question))
        return answer

    def run(self, sql, fetch=False):
        answer = self.ask({'sql': sql, 'fetch': fetch})
        return answer['seconds'], answer.get('columns'), answer.get('rows')

    def close(self):
        self.process.stdin.close()
        self.process.wait()


# ---------- answers ----------

# Counts, names and sums of money must be the same to the digit, all else to 1e-9.
INEXACT = re.compile('average|share|rate|ratio|_low$|_high$|value|percent$|revenue_after|profit|cost|added|buyers|responders|cut')


def canonical(value):
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float, decimal.Decimal)):
        return decimal.Decimal(repr(value) if isinstance(value, float) else value)
    text = str(value)
    if re.fullmatch(r'-?\d+(\.\d+)?([eE][-+]?\d+)?', text):
        return decimal.Decimal(text)
    return re.sub(r'([ T]00:00:00)?(\+00(:00)?)?$', '', text)


def same(column, a, b):
    if a == b:
        return True
    if not isinstance(a, decimal.Decimal) or not isinstance(b, decimal.Decimal) or not INEXACT.search(column):
        return False
    return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9)


def compare(job, ours, theirs, system):
    """Raises unless two answers agree in the columns that both have; an answer is (columns, rows)."""
    columns = [c for c in theirs[0] if c in ours[0]]
    if not columns or len(columns) < len(theirs[0]):
        raise RuntimeError('%s: %s has other columns: %s, not %s' % (job, system, theirs[0], ours[0]))

    def table(answer):
        places = [answer[0].index(c) for c in columns]
        rows = [[canonical(row[p]) for p in places] for row in answer[1]]
        return sorted(rows, key=lambda row: [str(v) for c, v in zip(columns, row) if not INEXACT.search(c)])
    mine, yours = table(ours), table(theirs)
    if len(mine) != len(yours):
        raise RuntimeError('%s: %d rows, %s has %d' % (job, len(mine), system, len(yours)))
    for a, b in zip(mine, yours):
        for column, x, y in zip(columns, a, b):
            if not same(column, x, y):
                raise RuntimeError('%s: %s is %s, %s has %s\n%s\n%s' % (job, column, x, system, y, a, b))


# ---------- measuring ----------

def in_turn(rounds, contenders):
    """Runs the contenders, {name: function that returns seconds}, in turn; all seconds of each."""
    seconds = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            seconds[name].append(run())
    return seconds


class Memory:
    """The greatest private memory of the server's processes while the block runs, above that at its start, in bytes."""

    def __init__(self, directory):
        with open(os.path.join(directory, 'data', 'postmaster.pid')) as file:
            self.postmaster = file.readline().strip()

    def total(self):
        total = 0
        with open('/proc/%s/task/%s/children' % (self.postmaster, self.postmaster)) as file:
            children = file.read().split()
        for pid in children:
            try:
                with open('/proc/%s/status' % pid) as file:
                    total += int(re.search(r'RssAnon:\s+(\d+)', file.read()).group(1)) * 1024
            except (OSError, AttributeError):
                pass
        return total

    def watch(self):
        while not self.stop.wait(0.005):
            self.peak = max(self.peak, self.total())

    def __enter__(self):
        self.before = self.peak = self.total()
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()
        self.used = self.peak - self.before


class Bench:
    def __init__(self, scale, rounds, directory, results):
        self.scale, self.rounds, self.directory, self.results = scale, rounds, directory, results
        self.pg = Postgres()
        self.sql = Postgres(settings=('jit = off',))    # as an expert would for these queries
        self.jobs = []       # (job, {system: [seconds]}, {system: export seconds}, targets, remark)
        self.more = []       # titles and tables of further measurements
        self.export = {}     # table: {system: seconds}

    # ---------- data ----------

    def prepare(self):
        log('Making the tables of single jobs ...')
        n, m = int(100000 * self.scale), int(1000000 * self.scale)
        # amounts as of a shop: two decimals, most of them small
        amount = "round(exp(2 + 4 * ((hashint8extended(i, 1) >> 11 & 9007199254740991) / 9007199254740992::float8))::numeric, 2)"
        self.pg.run('CREATE TABLE amounts_numeric AS SELECT %s AS amount FROM generate_series(1, %d) i' % (amount, n))
        self.pg.run('CREATE TABLE amounts_float8 AS SELECT amount::float8 FROM amounts_numeric')
        self.pg.run('CREATE TABLE measures AS SELECT (hashint8(i) & 1023)::int AS days, 1 + (hashint8extended(i, 2) & 3) AS orders,'
                    ' %s AS amount FROM generate_series(1, %d) i' % (amount, m))
        self.pg.run('VACUUM ANALYZE amounts_numeric, amounts_float8, measures')
        self.pg.run('CHECKPOINT')

        log('Exporting ...')
        exported = os.path.join(self.directory, 'export')
        os.makedirs(exported, exist_ok=True)
        duckdb = Child(['node', os.path.join(self.directory, 'duckdb', 'duckdb.mjs'), os.path.join(self.directory, 'bench.duckdb'), '2'])
        pandas = Child(['/usr/bin/python3', os.path.join(HERE, 'pandas_jobs.py')])
        for table, (query, columns) in TABLES.items():
            path = os.path.join(exported, table + '.csv')
            with open(path, 'w') as file:
                start = time.perf_counter()
                self.pg.cursor.copy_expert('COPY (%s) TO STDOUT (FORMAT csv, HEADER)' % query, file)
                copied = time.perf_counter() - start
            duckdb.run('CREATE TABLE %s (%s)' % (table, columns))
            loaded = duckdb.run("COPY %s FROM '%s' (FORMAT csv, HEADER)" % (table, path))[0]
            read = pandas.ask({'job': 'load', 'table': table, 'path': path})['seconds']
            self.export[table] = {DUCKDB: copied + loaded, PANDAS: copied + read}
            os.remove(path)
        duckdb.run('CHECKPOINT')
        self.duckdb, self.pandas = duckdb, pandas

    # ---------- jobs ----------

    def add(self, job, seconds, tables, targets, remark=''):
        exports = {s: sum(self.export[t][s] for t in tables) for s in (DUCKDB, PANDAS) if s in seconds}
        self.jobs.append((job, seconds, exports, targets, remark))
        log('%s: %s' % (job, ', '.join('%s %.3f s' % (s, statistics.median(v)) for s, v in seconds.items())))

    def postgres_job(self, sql, session=None):
        return lambda: (session or self.pg).run(sql, True)[0]

    def check(self, job, answers):
        ours = answers.pop(OURS)
        for system, answer in answers.items():
            compare(job, ours, answer, system)

    def job_segments(self):
        self.pg.run("SELECT rfm.create_thelook_model('live', 'public', storage => 'view', as_of => '%s')" % AS_OF)
        ours, sql, duck = 'SELECT * FROM live.segments', sql_file('sql', 'segments')[0][1], sql_file('duckdb', 'segments')[0][1]

        def pandas():
            return self.pandas.ask({'job': 'segments'})
        answer = pandas()
        self.check('segments', {OURS: self.pg.run(ours, True)[1:], SQL: self.sql.run(sql, True)[1:], DUCKDB: self.duckdb.run(duck, True)[1:],
                                PANDAS: (answer['columns'], answer['rows'])})
        self.add('segments from raw lines', in_turn(self.rounds, {
            OURS: self.postgres_job(ours), SQL: self.postgres_job(sql, self.sql),
            DUCKDB: lambda: self.duckdb.run(duck, True)[0], PANDAS: lambda: pandas()['seconds']}),
            ('order_items',), {SQL: (8, '>='), DUCKDB: (1.0, '<=')})
        # the same without workers, and the floor
        alone = Postgres(settings=('max_parallel_workers_per_gather = 0',))
        scan = "SELECT count(sale_price) FROM order_items WHERE status NOT IN ('Cancelled', 'Returned') AND created_at < '%s'" % AS_OF
        seconds = in_turn(self.rounds, {
            'segments, workers as the planner wants': self.postgres_job(ours), 'segments, no workers': self.postgres_job(ours, alone),
            'the scan of the lines with its filter alone, workers as the planner wants': self.postgres_job(scan),
            'the same scan, no workers': self.postgres_job(scan, alone)})
        alone.close()
        self.more.append(('Parallel speed-up, and the scan below it', ('what', 'seconds'),
                          [(k, '%.3f' % statistics.median(v)) for k, v in seconds.items()]))

    def build_ours(self, session=None):
        self.pg.run("DO $$ BEGIN IF to_regnamespace('shop') IS NOT NULL THEN PERFORM rfm.drop_model('shop'); END IF; END $$")
        self.pg.run('CHECKPOINT')
        built = (session or self.pg).run("SELECT rfm.create_thelook_model('shop', 'public', as_of => '%s')" % AS_OF)[0]
        refresh = self.pg.value('SELECT extract(epoch FROM finished_at - started_at)::float8 FROM shop.refresh_log')
        read = self.read_ours()
        self.builds.append((built, refresh, read))
        return built + read

    def read_ours(self):
        return sum(self.pg.run('SELECT * FROM shop.%s' % view, True)[0] for view in ANALYSES)

    def build_sql(self):
        self.sql.run('DROP TABLE IF EXISTS margin, buyers, sessions, customers')
        self.sql.run('DROP SCHEMA IF EXISTS by_hand CASCADE')
        self.sql.run('CREATE SCHEMA by_hand')
        self.sql.run('CHECKPOINT')
        return (sum(self.sql.run(sql)[0] for _, sql in sql_file('sql', 'customers'))
                + sum(self.sql.run('CREATE TABLE by_hand.%s AS %s' % part)[0] for part in sql_file('sql', 'analyses')))

    def build_duckdb(self):
        for table in ('margin', 'buyers', 'sessions', 'customers'):
            self.duckdb.run('DROP TABLE IF EXISTS ' + table)
        self.duckdb.run('DROP SCHEMA IF EXISTS by_hand CASCADE')
        self.duckdb.run('CREATE SCHEMA by_hand')
        self.duckdb.run('CHECKPOINT')
        return (sum(self.duckdb.run(sql)[0] for _, sql in sql_file('duckdb', 'customers'))
                + sum(self.duckdb.run('CREATE TABLE by_hand.%s AS %s' % part)[0] for part in sql_file('duckdb', 'analyses')))

    def job_model(self):
        self.builds = []
        self.build_ours()
        self.build_sql()
        self.build_duckdb()
        self.pandas.ask({'job': 'model'})
        self.builds = []
        # of the customers some 20,000; the analyses see them all
        step = max(1, int(100000 * self.scale) // 30000)
        for view in ('customers',) + ANALYSES:
            ours = self.pg.run('SELECT * FROM shop.%s%s' % (view, ' WHERE customer_id %% %d = 0' % step if view == 'customers' else ''), True)[1:]
            if view == 'customers':
                columns = ours[0]
                sql = self.pg.run('SELECT %s FROM customers WHERE customer_id %% %d = 0' % (', '.join(columns), step), True)[1:]
                duck = self.duckdb.run('SELECT %s FROM customers WHERE customer_id %% %d = 0' % (', '.join(columns), step), True)[1:]
            else:
                sql = self.pg.run('SELECT * FROM by_hand.%s' % view, True)[1:]
                duck = self.duckdb.run('SELECT * FROM by_hand.%s' % view, True)[1:]
            answer = self.pandas.ask({'job': 'show', 'name': view, 'step': step})
            self.check(view, {OURS: ours, SQL: sql, DUCKDB: duck, PANDAS: (answer['columns'], answer['rows'])})
        seconds = in_turn(self.rounds, {OURS: self.build_ours, SQL: self.build_sql, DUCKDB: self.build_duckdb,
                                        PANDAS: lambda: self.pandas.ask({'job': 'model'})['seconds']})
        self.full_sql = statistics.median(seconds[SQL])
        parts = [statistics.median(b[i] for b in self.builds) for i in range(3)]
        self.add('whole model, stored', seconds, MODEL_TABLES, {SQL: (6, '>='), DUCKDB: (2.0, '<=')},
                 'ours is create_thelook_model, %.2f s, of which %.2f s are the refresh, and every analysis read once, %.2f s' % tuple(parts))
        self.more.append(('The stages of the last build', ('stage', 'seconds'), self.pg.run(
            "SELECT s, round(x::numeric, 3) FROM shop.refresh_log, LATERAL (VALUES ('profiles', profiles_seconds), ('snapshot', snapshot_seconds),"
            " ('all of the refresh', extract(epoch FROM finished_at - started_at)::float8)) v(s, x) WHERE x IS NOT NULL ORDER BY x", True)[2]))
        alone = Postgres(settings=('max_parallel_workers_per_gather = 0',))
        self.build_ours(alone)
        alone.close()
        self.more.append(('Parallel speed-up of the whole model', ('create_thelook_model', 'seconds', 'of which the refresh'), [
            ('workers as the planner wants', '%.2f' % parts[0], '%.2f' % parts[1]),
            ('no workers, one round', '%.2f' % self.builds[-1][0], '%.2f' % self.builds[-1][1])]))

    def job_percentiles(self):
        for kind, target in (('numeric', 3), ('float8', 2.5)):
            table = 'amounts_' + kind
            ours = "SELECT c[1] AS cut1, c[2] AS cut2, c[3] AS cut3, c[4] AS cut4 FROM (SELECT rfm.percentile_cutoffs(amount, '%s') AS c FROM %s) x" % (FRACTIONS, table)
            sql = "SELECT c[1] AS cut1, c[2] AS cut2, c[3] AS cut3, c[4] AS cut4 FROM (SELECT percentile_cont('%s'::float8[]) WITHIN GROUP (ORDER BY amount) AS c FROM %s) x" % (FRACTIONS, table)
            duck = 'SELECT c[1] AS cut1, c[2] AS cut2, c[3] AS cut3, c[4] AS cut4 FROM (SELECT quantile_cont(amount::DOUBLE, [0.25, 0.5, 0.75, 0.95]) AS c FROM %s) x' % table
            pandas = {'job': 'percentiles', 'table': table}
            answer = self.pandas.ask(pandas)
            self.check('percentiles', {OURS: self.pg.run(ours, True)[1:], SQL: self.pg.run(sql, True)[1:], DUCKDB: self.duckdb.run(duck, True)[1:],
                                       PANDAS: (answer['columns'], answer['rows'])})
            seconds = in_turn(max(self.rounds, 5), {
                OURS: self.postgres_job(ours), SQL: self.postgres_job(sql, self.sql), DUCKDB: lambda: self.duckdb.run(duck, True)[0],
                PANDAS: lambda: self.pandas.ask(pandas)['seconds'],
                'count(amount)': self.postgres_job('SELECT count(amount) FROM %s' % table)})
            self.add('percentile_cutoffs of four fractions, %s' % kind, seconds, (table,), {SQL: (target, '>='), 'count(amount)': (1.4, '<=')})

    def job_scores(self):
        cuts = '{20,55,150,330}'
        ours = ("SELECT sum(score) AS scores, count(segment) AS segments FROM (SELECT rfm.rfm_score(days, orders, amount, '%s') AS score,"
                " rfm.segment_of(rfm.rfm_score(days, orders, amount, '%s')) AS segment FROM measures) s" % (cuts, cuts))
        case = sql_file('sql', 'scores')[0][1]
        sql = 'SELECT sum(score) AS scores, count(segment) AS segments FROM (%s) s' % case
        duck_case = sql_file('duckdb', 'scores')[0][1]
        duck = 'SELECT sum(score) AS scores, count(segment) AS segments FROM (%s) s' % duck_case
        shown = 'SELECT score, segment, count(*) AS customers FROM (%s) s GROUP BY score, segment'
        answer = self.pandas.ask({'job': 'scores', 'fetch': True})
        self.check('scores', {
            OURS: self.pg.run("SELECT rfm.rfm_score(days, orders, amount, '%s') AS score, rfm.segment_of(rfm.rfm_score(days, orders, amount, '%s')) AS segment,"
                              ' count(*) AS customers FROM measures GROUP BY 1, 2' % (cuts, cuts), True)[1:],
            SQL: self.pg.run(shown % case, True)[1:], DUCKDB: self.duckdb.run(shown % duck_case, True)[1:], PANDAS: (answer['columns'], answer['rows'])})
        self.add('rfm_score and segment_of per row', in_turn(self.rounds, {
            OURS: self.postgres_job(ours), SQL: self.postgres_job(sql), DUCKDB: lambda: self.duckdb.run(duck, True)[0],
            PANDAS: lambda: self.pandas.ask({'job': 'scores'})['seconds']}), ('measures',), {SQL: (2, '>=')})

    def job_reading(self):
        sql, duck = sql_file('sql', 'analyses'), sql_file('duckdb', 'analyses')

        def ours():
            self.pg.run("CALL rfm.refresh('shop')")
            return self.read_ours()
        self.add('all analyses read once after a refresh', in_turn(self.rounds, {
            OURS: ours,
            SQL: lambda: sum(self.sql.run(q, True)[0] for _, q in sql),
            DUCKDB: lambda: sum(self.duckdb.run(q, True)[0] for _, q in duck),
            PANDAS: lambda: self.pandas.ask({'job': 'analyses'})['seconds']}), MODEL_TABLES, {SQL: (20, '>='), DUCKDB: (1.0, '<=')})
        self.more.append(('Reading one analysis', ('analysis', OURS, SQL, DUCKDB), [
            (view, *('%.1f ms' % (1000 * statistics.median(run() for _ in range(3))) for run in (
                self.postgres_job('SELECT * FROM shop.%s' % view), self.postgres_job(dict(sql)[view], self.sql),
                lambda: self.duckdb.run(dict(duck)[view], True)[0]))) for view in ANALYSES]))

    # ---------- changes ----------

    def change(self, customers, seed):
        """One more line for so many customers, spread over all, in one statement."""
        last = self.pg.value('SELECT max(id) FROM users')
        self.pg.run("INSERT INTO order_items (id, order_id, user_id, product_id, status, created_at, sale_price)"
                    " SELECT (SELECT max(id) FROM order_items) + n, (SELECT max(order_id) FROM order_items) + n, user_id, 1 + n %% 1000, 'Complete',"
                    " timestamp '2024-01-20' + n * interval '1 millisecond', 20 + n %% 50"
                    " FROM (SELECT n, 1 + (n::bigint * %d + %d) %% %d AS user_id FROM generate_series(1, %d) n) x"
                    % (max(1, last // customers), seed, last, customers))

    def job_incremental(self):
        for table, column in (('order_items', 'user_id'), ('users', 'id'), ('events', 'user_id'), ('products', None)):
            self.pg.run("SELECT rfm.track_changes('shop', '%s', %s)" % (table, "'%s'" % column if column else 'NULL'))
        self.pg.run("CALL rfm.refresh('shop')")
        total = self.pg.value('SELECT count(*) FROM users')
        some = max(1, self.pg.value('SELECT customers FROM shop.overview') // 1000)
        rows, ours = [], []
        for customers in sorted({10, 1000, 100000, some}):
            if customers > total / 2:
                continue
            seconds, read = [], []
            for i in range(self.rounds if customers < 100000 else 1):
                self.change(customers, i)
                self.pg.run('CHECKPOINT')
                seconds.append(self.pg.run("CALL rfm.refresh('shop')")[0])
                read.append(self.read_ours())
            mode, changed = self.pg.run('SELECT mode, changed FROM shop.refresh_log ORDER BY refresh_id DESC LIMIT 1', True)[2][0]
            rows.append((customers, changed, mode, '%.3f s' % statistics.median(seconds), '%.3f s' % statistics.median(read)))
            if customers == some:
                ours = seconds
                if mode != 'incremental':
                    raise RuntimeError('the refresh of %d changed customers was %s' % (customers, mode))
        self.more.append(('Incremental refresh against the number of customers changed', ('customers changed', 'profiles written', 'mode', 'refresh', 'reading all analyses afterwards'), rows))
        self.add('incremental refresh, 0.1 % of the customers changed', {OURS: ours, SQL: [self.full_sql]}, (), {SQL: (100, '>=')},
                 'hand-written SQL is its whole model from above')
        # the same as a full rebuild
        self.pg.run('CREATE TABLE incremental AS TABLE shop.customers')
        self.pg.run("CALL rfm.refresh('shop', full_rebuild => true)")
        wrong = self.pg.value('SELECT (SELECT count(*) FROM (TABLE incremental EXCEPT TABLE shop.customers) x) + (SELECT count(*) FROM (TABLE shop.customers EXCEPT TABLE incremental) x)')
        if wrong:
            raise RuntimeError('%d customers differ between incremental and full refresh' % wrong)
        self.pg.run('DROP TABLE incremental')

    def job_writer(self):
        self.pg.run('CREATE SCHEMA untracked')
        self.pg.run('CREATE TABLE untracked.order_items (LIKE order_items INCLUDING ALL)')
        self.pg.run('INSERT INTO untracked.order_items TABLE order_items')
        self.pg.run('VACUUM ANALYZE order_items, untracked.order_items')
        self.pg.run('CHECKPOINT')
        first = self.pg.value('SELECT max(id) FROM order_items')
        last = self.pg.value('SELECT max(id) FROM users')
        batch = [0]

        def insert(table):
            # the statement alone: committing costs both the same
            batch[0] += 1
            self.pg.run('BEGIN')
            seconds = self.pg.run(
                "INSERT INTO %s (id, order_id, user_id, product_id, status, created_at, sale_price) SELECT %d + n, %d + n, 1 + (hashint8(%d + n) & 1073741823) %% %d,"
                " 1 + n %% 1000, 'Complete', timestamp '2024-01-20', 20 + n %% 50 FROM generate_series(1, 1000) n"
                % (table, first + 1000 * (batch[0] // 2), first, 1000 * (batch[0] // 2), last))[0]
            self.pg.run('COMMIT')
            return seconds
        seconds = in_turn(100 * self.rounds, {'tracked': lambda: insert('order_items'), 'untracked': lambda: insert('untracked.order_items')})
        self.add('INSERT of 1,000 lines', {OURS: seconds['tracked'], 'untracked': seconds['untracked']}, (), {'untracked': (1.15, '<=')})

    # ---------- growth ----------

    def growth(self, databases):
        rows = []
        for scale, database in databases:
            session = Postgres(database)
            memory = Memory(self.directory)
            session.run("DO $$ BEGIN IF to_regnamespace('grown') IS NOT NULL THEN PERFORM rfm.drop_model('grown'); END IF; END $$")
            session.run('CHECKPOINT')
            session.close()
            session = Postgres(database)
            with memory as build:
                seconds = session.run("SELECT rfm.create_thelook_model('grown', 'public', as_of => '%s')" % AS_OF)[0]
            build_used = build.used
            customers = session.value('SELECT customers FROM grown.overview')
            session.close()
            session = Postgres(database, ('max_parallel_workers_per_gather = 0', 'jit = off'))
            session.value('SELECT 1')
            with Memory(self.directory) as single:
                profiles = session.run("SELECT rfm.profile_all(customer_id, order_id, ordered_at, amount, product_id, NULL, '%s', 'UTC', NULL, 0) IS NULL"
                                       " FROM grown.valid_lines" % AS_OF, True)[0]
            session.run("SELECT rfm.drop_model('grown')")
            session.close()
            rows.append((scale, customers, '%.2f s' % seconds, '%.2f µs' % (1e6 * seconds / customers), '%.0f MB' % (build_used / 1e6),
                         '%.0f' % (build_used / customers), '%.3f s' % profiles, '%.0f' % (single.used / customers)))
        self.more.append(('Growth', ('scale', 'customers', 'whole model', 'per customer', 'peak private memory', 'bytes per customer',
                                     'profile_all alone, no workers', 'its bytes per customer (target 200)'), rows))

    # ---------- the report ----------

    def report(self):
        systems = (OURS, SQL, DUCKDB, PANDAS)
        lines = ['| job | %s | targets | export to DuckDB | export to pandas |' % ' | '.join(systems), '|' + '---|' * (len(systems) + 4)]
        remarks = []
        for job, seconds, exports, targets, remark in self.jobs:
            median = {s: statistics.median(v) for s, v in seconds.items()}

            def cell(s):
                if s not in median:
                    return ''
                text = duration(median[s])
                return text if s == OURS else '%s (%s×)' % (text, ratio(median[s] / median[OURS]))
            verdicts = []
            for s, (limit, sign) in targets.items():
                got = median[s] / median[OURS] if sign == '>=' else median[OURS] / median[s]
                met = got >= limit if sign == '>=' else got <= limit
                other = s if s in systems else '%s, %s' % (s, duration(median[s]))
                verdicts.append(('ahead of %s by ≥ %s×: %s, %s' if sign == '>=' else '≤ %s× the time of %s: %s, %s')
                                % ((other, limit) + (ratio(got) + '×', 'met' if met else '**missed**') if sign == '>='
                                   else (limit, other, ratio(got) + '×', 'met' if met else '**missed**')))
            lines.append('| %s | %s | %s | %s | %s |' % (job, ' | '.join(cell(s) for s in systems), '; '.join(verdicts),
                                                       duration(exports.get(DUCKDB)), duration(exports.get(PANDAS))))
            if remark:
                remarks.append('- %s: %s.' % (job, remark))
        table = '\n'.join(lines)
        text = [HEAD % dict(self.about(), table=table, remarks='\n'.join(remarks))]
        for title, header, rows in self.more:
            text += ['## %s\n' % title, '| %s |' % ' | '.join(header), '|' + '---|' * len(header)]
            text += ['| %s |' % ' | '.join(str(c) for c in row) for row in rows]
            text.append('')
        with open(self.results, 'w') as file:
            file.write('\n'.join(text))
        return '\n'.join(text)

    def about(self):
        with open('/proc/cpuinfo') as file:
            cpu = re.search(r'model name\s*:\s*(.*)', file.read())
        with open('/proc/meminfo') as file:
            ram = int(re.search(r'MemTotal:\s+(\d+)', file.read()).group(1)) / 1048576
        settings = ', '.join('%s %s' % (r[0], r[1]) for r in self.pg.run(
            "SELECT name, current_setting(name) FROM unnest('{shared_buffers,work_mem,maintenance_work_mem,effective_cache_size,max_parallel_workers_per_gather,"
            "jit,fsync,synchronous_commit,max_wal_size}'::text[]) name", True)[2])
        commit = subprocess.run(['git', '-C', HERE, 'describe', '--always', '--dirty', '--abbrev=12'], capture_output=True, text=True).stdout.strip()
        import pandas
        return {'scale': '%g' % self.scale, 'rounds': self.rounds, 'date': time.strftime('%Y-%m-%d', time.gmtime()), 'commit': commit,
                'cores': os.cpu_count(), 'cpu': cpu.group(1) if cpu else 'unknown', 'ram': '%.0f' % ram,
                'postgres': self.pg.value('SHOW server_version').split()[0], 'settings': settings,
                'duckdb': self.duckdb.run('SELECT version() AS v', True)[2][0][0], 'pandas': pandas.__version__,
                'python': sys.version.split()[0], 'node': subprocess.run(['node', '--version'], capture_output=True, text=True).stdout.strip(),
                'load': '%.1f' % self.load, **self.counts}


HEAD = """# Results of make bench

Medians of %(rounds)s rounds; in brackets how many times the time of rfm_segments. Made by `make bench`, do not edit; what it means is in
[README.md](README.md).

- Data: thelook at scale %(scale)s: %(users)s users, %(customers)s customers, %(lines)s lines, %(events)s events
- Machine: %(cores)s cores, %(cpu)s, %(ram)s GB; load average before the first measurement %(load)s
- PostgreSQL %(postgres)s: %(settings)s
- DuckDB %(duckdb)s from npm, 2 threads, native tables in a file; node %(node)s
- pandas %(pandas)s, Python %(python)s, data in memory
- %(date)s, commit %(commit)s

%(table)s

%(remarks)s
"""


def duration(seconds):
    if seconds is None:
        return ''
    return '%.1f ms' % (1000 * seconds) if seconds < 0.1 else '%.0f ms' % (1000 * seconds) if seconds < 1 else '%.2f s' % seconds


def ratio(x):
    return '%.0f' % x if x >= 20 else '%.1f' % x if x >= 3 else '%.2f' % x


def main():
    scale, rounds, directory, results = float(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
    databases = [(s, 'thelook' if float(s) == scale else 'thelook_' + s) for s in sys.argv[5:]]
    bench = Bench(scale, rounds, directory, results)
    bench.prepare()
    bench.load = os.getloadavg()[0]
    numbers = bench.pg.run("SELECT (SELECT count(*) FROM users), (SELECT count(DISTINCT user_id) FROM order_items WHERE status NOT IN ('Cancelled', 'Returned')"
                           " AND created_at < '%s'), (SELECT count(*) FROM order_items), (SELECT count(*) FROM events)" % AS_OF, True)[2][0]
    bench.counts = dict(zip(('users', 'customers', 'lines', 'events'), ('{:,}'.format(n) for n in numbers)))
    jobs = os.environ.get('JOBS', 'segments model percentiles scores reading growth incremental writer').split()
    for job in jobs:
        if job == 'growth':
            bench.growth(databases)
        else:
            getattr(bench, 'job_' + job)()
        text = bench.report()      # so far
    log('\n' + text)
    bench.duckdb.close()
    bench.pandas.close()


main()

"""The measurements of scaling.sh, which has made the servers.

    scaling.py measure DIRECTORY JOB ...    all of it
    scaling.py mark DIRECTORY               one line of JSON: the clock, CPU seconds of each node, bytes on the network so far
"""

import json
import os
import re
import subprocess
import sys
import threading
import time

NODES = ('coordinator', 'worker1', 'worker2', 'worker3', 'worker4')
STAGES = ('profiles', 'snapshot', 'history', 'summaries', 'commit')
FACTOR = float(os.environ.get('FACTOR', 1))


# ---------- counters ----------

def read(path):
    try:
        with open(path) as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError):
        return ''


def processes(directory, node):
    postmaster = read('%s/%s/postmaster.pid' % (directory, node)).split('\n')[0]
    return postmaster, read('/proc/%s/task/%s/children' % (postmaster, postmaster)).split()


def cpu_seconds(directory, node):
    """Of all processes that a server has and had."""
    postmaster, children = processes(directory, node)
    ended = sum(int(t) for t in read('/proc/%s/stat' % postmaster).rsplit(')', 1)[1].split()[13:15]) / os.sysconf('SC_CLK_TCK')
    return ended + sum(int((read('/proc/%s/schedstat' % p) or '0').split()[0]) for p in [postmaster] + children) / 1e9


def mark(directory):
    network = int(re.search(r'lo:\s*(\d+)', read('/proc/net/dev')).group(1))
    return {'clock': time.time(), 'bytes': network, 'cpu': {n: cpu_seconds(directory, n) for n in NODES}}


class Memory(threading.Thread):
    """The most private memory that one process of a worker has had, seen every tenth of a second."""

    def __init__(self, directory):
        super().__init__(daemon=True)
        self.directory, self.most, self.together, self.ended = directory, 0, 0, False

    def run(self):
        while not self.ended:
            for node in NODES[1:]:
                sizes = [int((re.search(r'RssAnon:\s*(\d+)', read('/proc/%s/status' % p)) or [0, 0])[1]) / 1024 for p in processes(self.directory, node)[1]]
                self.most, self.together = max([self.most] + sizes), max(self.together, sum(sizes))
            time.sleep(0.1)

    def stop(self):
        self.ended = True
        self.join()


# ---------- SQL ----------

def psql(database, *commands, node='coordinator', notices=False):
    arguments = ['psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-p', str(7000 + NODES.index(node)), '-d', database]
    for command in commands:
        arguments += ['-c', command]
    result = subprocess.run(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env=dict(os.environ, PGOPTIONS='-c citus.log_remote_commands=on -c client_min_messages=notice') if notices else None)
    if result.returncode:
        raise RuntimeError(result.stderr[:2000])
    return result.stderr if notices else result.stdout.strip()


# The functions that end a stage, and the search for places, write down the counters.
MARKS = """
CREATE TABLE public.marks (i int GENERATED ALWAYS AS IDENTITY, label text DEFAULT current_setting('bench.label'), counters json);
CREATE FUNCTION public.mark(label text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('bench.label', label, true);
    COPY public.marks (counters) FROM PROGRAM '/usr/bin/python3 %(directory)s/scaling.py mark %(directory)s';
END $$;
ALTER FUNCTION rfm.log_stage(text, bigint, text) RENAME TO log_stage_itself;
CREATE FUNCTION rfm.log_stage(model text, refresh_id bigint, stage text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM rfm.log_stage_itself(model, refresh_id, stage), public.mark(stage);
END $$;
ALTER FUNCTION rfm.values_at(text, bigint[]) RENAME TO values_at_itself;
CREATE FUNCTION rfm.values_at(query text, places bigint[]) RETURNS numeric[] LANGUAGE plpgsql AS $$
DECLARE
    found numeric[];
BEGIN
    PERFORM public.mark('search');
    found := rfm.values_at_itself(query, places);
    PERFORM public.mark('found');
    RETURN found;
END $$;
"""

# u: a number from 0 up to 1 by chance, the same each time
ROWS = """
CREATE FUNCTION public.u(id bigint, purpose int) RETURNS float8 IMMUTABLE PARALLEL SAFE RETURN (hashint8extended(id, purpose) >> 11 & 9007199254740991) / 9007199254740992::float8;
SELECT create_distributed_function('public.u(bigint, int)');
CREATE TABLE accounts (customer_id bigint, channel text, signed_up_at timestamptz, country text);
CREATE TABLE lines (customer_id bigint, order_id bigint, ordered_at timestamptz, amount numeric, status text, product_id int);
CREATE TABLE visits (customer_id bigint, session_id bigint, visited_at timestamptz);
CREATE TABLE products AS SELECT i AS product_id, 'category ' || i %% 26 AS category, 'brand ' || i %% 2700 AS brand, 'product ' || i AS name, i %% 97 + 0.5 AS cost FROM generate_series(1, 30000) i;
CREATE TABLE numbers AS SELECT i FROM generate_series(1, 1000) i;
SELECT create_distributed_table('accounts', 'customer_id', shard_count => %(shards)d);
SELECT create_distributed_table('lines', 'customer_id', colocate_with => 'accounts');
SELECT create_distributed_table('visits', 'customer_id', colocate_with => 'accounts');
SELECT create_reference_table('products'), create_reference_table('numbers');
INSERT INTO accounts SELECT i, (ARRAY['Search', 'Organic', 'Email', 'Facebook', 'Display'])[1 + i %% 5], timestamptz '2018-06-01Z' + i %% 1800 * interval '1 day', 'country ' || i %% 20 FROM generate_series(1, %(customers)d) i;
INSERT INTO lines SELECT customer_id, orders, timestamptz '2019-01-20Z' + floor(1826 * u(orders, 2)) * interval '1 day' + i * interval '1 minute',
    round(least(20000, 8 * (1 - u(orders * 2 + i, 3)) ^ -0.6)::numeric, 2), (ARRAY['Complete', 'Shipped', 'Processing', 'Returned'])[1 + floor(4 * u(orders, 4))::int], 1 + floor(30000 * u(orders * 2 + i, 5))::int
    FROM (SELECT customer_id, i, customer_id * 1000 + i / 2 AS orders FROM accounts JOIN numbers ON i <= 1 + floor((2 * %(lines)d / %(customers)d - 1) * u(customer_id, 1))::int) l;
INSERT INTO visits SELECT customer_id, customer_id * 100 + i / 3, timestamptz '2019-01-20Z' + floor(1826 * u(customer_id * 100 + i / 3, 6)) * interval '1 day' + i * interval '1 minute'
    FROM accounts JOIN numbers ON i <= %(visits)d / %(customers)d;
"""

def difference(a, b):
    """What happened between two marks."""
    cpu = {n: b['cpu'][n] - a['cpu'][n] for n in NODES}
    return {'clock': b['clock'] - a['clock'], 'bytes': b['bytes'] - a['bytes'], 'coordinator': cpu['coordinator'],
            'cpu': sum(cpu.values()), 'busiest': max(cpu[n] for n in NODES[1:])}


def total(parts):
    return {k: sum(p[k] for p in parts) for k in ('clock', 'bytes', 'coordinator', 'cpu', 'busiest')}


def watched(directory, call):
    """Runs a procedure that leaves marks: the counters of each stage, and of the searches for places in both stages that have one."""
    psql('bench', 'TRUNCATE public.marks')
    memory = Memory(directory)
    memory.start()
    first = mark(directory)
    psql('bench', call)
    last = mark(directory)
    memory.stop()
    marks = [('start', first)] + [(label, json.loads(counters)) for label, counters in
             (line.split('|', 1) for line in psql('bench', 'SELECT label, counters FROM public.marks ORDER BY i').split('\n'))] + [('commit', last)]
    stages, at, search = {}, first, []
    for i, (label, counters) in enumerate(marks):
        if label in STAGES:
            stages[label] = difference(at, counters)
            at = counters
        elif label == 'found':
            search.append(difference(marks[i - 1][1], counters))
    stages['search'] = total(search)
    stages['all'] = difference(first, last)
    return dict(stages, most=memory.most, together=memory.together)


def on_workers(workers, sql):
    return sum(int(psql('bench', 'SET citus.override_table_visibility = off', sql, node=n)) for n in NODES[1:workers + 1])


def measure(directory, workers, shards, lines, customers, visits=0, work_mem='64MB'):
    """Builds a model in a new database, and refreshes it a day later, when one customer in twenty has bought again."""
    used = NODES[:workers + 1]
    for node in used:
        psql('postgres', 'DROP DATABASE IF EXISTS bench WITH (FORCE)', 'CREATE DATABASE bench', node=node)
        psql('bench', 'CREATE EXTENSION citus', "ALTER DATABASE bench SET work_mem = '%s'" % work_mem, node=node)
    psql('bench', "SELECT citus_set_coordinator_host('127.0.0.1', 7000)", *["SELECT citus_add_node('127.0.0.1', %d)" % (7000 + i + 1) for i in range(workers)])
    psql('bench', 'CREATE EXTENSION rfm_segments')
    values = {'directory': directory, 'shards': shards, 'lines': lines, 'customers': customers, 'visits': visits}
    psql('bench', *(ROWS % values).strip().split(';\n'))
    psql('bench', MARKS % values)
    psql('bench', 'VACUUM ANALYZE lines', 'VACUUM ANALYZE accounts', 'VACUUM ANALYZE visits')
    result = {'workers': workers, 'shards': shards}
    result['build'] = watched(directory, "SELECT rfm.create_model('shop', 'lines', 'accounts', 'products', %s, dimensions => '{country}', as_of => '2024-01-21')"
                              % ("'visits'" if visits else 'NULL'))
    vacuum = ['VACUUM ANALYZE shop.profiles', 'VACUUM ANALYZE shop.next_profiles', 'CHECKPOINT']
    psql('bench', *vacuum)
    result['lines'], result['customers'] = int(psql('bench', 'SELECT count(*) FROM lines')), int(psql('bench', 'SELECT count(*) FROM shop.profiles'))
    result['size'] = {t: on_workers(workers, "SELECT coalesce(sum(%s(oid)), 0) FROM pg_class WHERE relkind = 'r' AND relname ~ '^%s_\\d+$'" % (f, t)) / result[of]
                      for t, f, of in (('lines', 'pg_table_size', 'lines'), ('profiles', 'pg_total_relation_size', 'customers'))}
    psql('bench', "INSERT INTO lines SELECT customer_id, customer_id * 1000 + 999, timestamptz '2024-01-21 12:00Z', 25, 'Complete', 1 FROM accounts WHERE customer_id % 20 = 0",
         "SELECT rfm.configure_model('shop', as_of => '2024-01-22')")
    wal = "SELECT pg_current_wal_insert_lsn() - '0/0'"
    before = on_workers(workers, wal)
    result['refresh'] = watched(directory, "CALL rfm.refresh('shop')")
    result['wal'] = on_workers(workers, wal) - before
    at = mark(directory)
    psql('bench', *vacuum[:2])
    result['vacuum'] = difference(at, mark(directory))
    psql('bench', "SELECT rfm.configure_model('shop', as_of => '2024-01-23')")
    result['statements'] = psql('bench', "CALL rfm.refresh('shop')", notices=True).count('NOTICE:  issuing')
    print('#', json.dumps(result), flush=True)
    return result


# ---------- tables ----------

def table(head, rows):
    print('\n| ' + ' | '.join(head) + ' |\n|' + '---|' * len(head))
    for row in rows:
        print('| ' + ' | '.join(str(c) for c in row) + ' |')


def fit(points):
    """y = a * x1 + b * x2 of points (x1, x2, y), none below zero; each weighs by its share, not by its size."""
    s = [[sum(p[i] * p[j] / p[2] ** 2 for p in points) for j in range(3)] for i in range(2)]
    d = s[0][0] * s[1][1] - s[0][1] ** 2
    a, b = (s[0][2] * s[1][1] - s[1][2] * s[0][1]) / d, (s[1][2] * s[0][0] - s[0][2] * s[0][1]) / d
    if a < 0:
        a, b = 0, s[1][2] / s[1][1]
    elif b < 0:
        a, b = s[0][2] / s[0][0], 0
    return a, b, max(abs(a * p[0] + b * p[1] - p[2]) / p[2] for p in points)


def costs(directory):
    sizes = ((1000, 100), (250000, 25000), (1000000, 100000), (4000000, 400000), (4000000, 40000), (1000000, 500000))
    results = [measure(directory, 2, 8, *(max(100, int(n * FACTOR)) for n in s)) for s in sizes]
    few, rows = results[0], results[1:]
    for name in ('build', 'refresh'):
        print('\nCPU seconds of all nodes, %s' % name)
        stages = [s for s in STAGES + ('search', 'all') if s in few[name]]
        table(['lines', 'customers'] + stages + ['clock', 'coordinator', 'MB over the network'],
              [[r['lines'], r['customers']] + ['%.2f' % r[name][s]['cpu'] for s in stages] +
               ['%.1f' % r[name]['all']['clock'], '%.2f' % r[name]['all']['coordinator'], '%.2f' % (r[name]['all']['bytes'] / 1e6)] for r in results])
        print('\nFitted: CPU seconds = fixed + lines × a + customers × b, %s' % name)
        table(['stage', 'fixed, ms', 'µs a line', 'µs a customer', 'worst deviation'],
              [[s, '%.0f' % (1e3 * few[name][s]['cpu'])] +
               (lambda f: ['%.2f' % (1e6 * f[0]), '%.2f' % (1e6 * f[1]), '%.0f %%' % (100 * f[2])])(
                   fit([(r['lines'], r['customers'], max(1e-3, r[name][s]['cpu'] - few[name][s]['cpu'])) for r in rows])) for s in stages])
    print('\nkB over the network per shard, refresh')
    table(['lines', 'customers'] + list(STAGES) + ['search'],
          [[r['lines'], r['customers']] + ['%.0f' % (r['refresh'][s]['bytes'] / 1e3 / r['shards']) for s in STAGES + ('search',)] for r in results])
    print('\nStorage and memory')
    table(['lines', 'customers', 'bytes a line', 'bytes a profile with index', 'WAL of a refresh, bytes a customer', 'VACUUM after it, CPU µs a customer', 'most memory of a process, MB, build', 'refresh'],
          [[r['lines'], r['customers'], '%.0f' % r['size']['lines'], '%.0f' % r['size']['profiles'], '%.0f' % (r['wal'] / r['customers']),
            '%.2f' % (1e6 * r['vacuum']['cpu'] / r['customers']), '%.0f' % r['build']['most'], '%.0f' % r['refresh']['most']] for r in rows])
    one = measure(directory, 2, 8, int(1000000 * FACTOR), int(100000 * FACTOR), int(1000000 * FACTOR))
    same = rows[1]
    print('\nWith a million visits: %.2f µs CPU a visit more in stage profiles of a refresh' %
          (1e6 * (one['refresh']['profiles']['cpu'] - same['refresh']['profiles']['cpu']) / (1000000 * FACTOR)))


def shards(directory):
    grid = ((1, 8), (2, 8), (4, 8), (1, 32), (2, 32), (4, 32), (2, 64), (4, 64))
    results = [measure(directory, w, s, int(1000000 * FACTOR), int(100000 * FACTOR)) for w, s in grid]
    print('\nA refresh of a million lines, 100,000 customers')
    table(['workers', 'shards', 'CPU s', 'of it on the coordinator', 'on the busiest worker', 'clock s', 'MB over the network', 'kB a shard', 'of it searches', 'statements', 'statements a shard'],
          [[r['workers'], r['shards'], '%.2f' % r['refresh']['all']['cpu'], '%.2f' % r['refresh']['all']['coordinator'], '%.2f' % r['refresh']['all']['busiest'],
            '%.1f' % r['refresh']['all']['clock'], '%.1f' % (r['refresh']['all']['bytes'] / 1e6), '%.0f' % (r['refresh']['all']['bytes'] / 1e3 / r['shards']),
            '%.0f' % (r['refresh']['search']['bytes'] / 1e3 / r['shards']), r['statements'], '%.0f' % (r['statements'] / r['shards'])] for r in results])



def spill(directory):
    results = [(m, measure(directory, 2, 8, int(4000000 * FACTOR), int(40000 * FACTOR), work_mem=m)) for m in ('64MB', '4MB', '1MB')]
    print('\nA refresh of four million lines, 40,000 customers')
    table(['work_mem', 'profiles, CPU s', 'clock s', 'all, CPU s', 'most memory of a process, MB'],
          [[m] + ['%.2f' % x for x in (r['refresh']['profiles']['cpu'], r['refresh']['profiles']['clock'], r['refresh']['all']['cpu'])] +
           ['%.0f' % r['refresh']['most']] for m, r in results])


if __name__ == '__main__':
    if sys.argv[1] == 'mark':
        print(json.dumps(mark(sys.argv[2])))
    else:
        for job in sys.argv[3:]:
            {'costs': costs, 'shards': shards, 'spill': spill}[job](sys.argv[2])

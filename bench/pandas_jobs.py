"""pandas for bench.py: reads one JSON object per line, {"job": ...}, and answers each with one, {"seconds", "columns", "rows"} or {"error"}.

Money is in whole numbers of 1/10000 until it is shown.  Texts that repeat are categories, which loading makes of them.
"""

import json
import sys
import time
import traceback

import numpy as np
import pandas as pd

AS_OF = pd.Timestamp('2024-01-21')
DAY = np.timedelta64(1, 'D')
Z = 1.959963984540054
SEGMENTS = pd.DataFrame({
    'segment_rank': range(1, 10),
    'segment': ['VIP Champions', 'Loyal High Value', 'Loyal Low Value', 'Promising High Value', 'Promising Low Value', 'Need Attention', 'At Risk', 'Hibernating', 'Others'],
    'stage': ['vip', 'loyal', 'loyal', 'promising', 'promising', 'attention', 'risk', 'risk', 'other']})
STAGE = np.array([''] + list(SEGMENTS.stage))
LEVELS = np.array(['0', '1', '2-3', '4-5', '6+'])
data, model = {}, {}


# ---------- loading ----------

def load(table, path):
    times = {'order_items': ['created_at'], 'users': ['created_at'], 'events': ['created_at']}.get(table, [])
    categories = {'order_items': ['status'], 'users': ['traffic_source', 'country', 'gender'], 'products': ['category'], 'events': ['session_id']}.get(table, [])
    frame = pd.read_csv(path, dtype={c: 'category' for c in categories}, keep_default_na=False, na_values={c: [''] for c in ('brand', 'name', 'cost')})
    for c in times:
        frame[c] = pd.to_datetime(frame[c], format='%Y-%m-%d %H:%M:%S', exact=False)
    if table == 'order_items':
        frame['amount'] = np.rint(frame.sale_price.values * 10000).astype(np.int64)
    elif table == 'products':
        frame['cost'] = np.rint(frame.cost.values * 10000)
    elif table == 'events':
        frame['session'] = frame.pop('session_id').cat.codes
    data[table] = frame


# ---------- parts ----------

def valid_lines():
    l = data['order_items']
    return l[~l.status.isin(['Cancelled', 'Returned']).values & (l.created_at.values < AS_OF.to_datetime64())]


def scores(days, orders, amount, cuts):
    r = 5 - np.searchsorted([90, 180, 365, 545], days, side='left')
    f = 1 + np.searchsorted([0, 1, 2, 3], orders, side='right')
    m = 1 + np.searchsorted(cuts, amount, side='right')
    return r, f, m


def rank(r, f, m):
    high, often, once = m >= 3, f >= 4, f == 3
    return np.select([(r >= 4) & often & (m >= 4), (r >= 3) & often & high, (r >= 3) & often, (r >= 4) & once & high, (r >= 4) & once,
                      (r <= 2) & often & high, (r == 3) & once, (r <= 2) & (f <= 3)], range(1, 9), 9)


def dates(times):
    return times.astype('datetime64[D]')


def money(values):
    return values / 10000


def level(sessions):
    return np.searchsorted([1, 2, 4, 6], sessions, side='right')


def segment_table(c):
    g = c.groupby('segment_rank').agg(customers=('r', 'size'), amount=('amount', 'sum'), average_recency_days=('recency_days', 'mean'),
                                      average_orders=('orders', 'mean'), average_r=('r', 'mean'), average_f=('f', 'mean'), average_m=('m', 'mean'))
    t = SEGMENTS.join(g, on='segment_rank')
    t[['customers', 'amount']] = t[['customers', 'amount']].fillna(0).astype(np.int64)
    t['customer_share'], t['revenue'], t['revenue_share'] = t.customers / t.customers.sum(), money(t.amount), t.amount / t.amount.sum()
    t['average_revenue'] = t.revenue / t.customers
    return t.drop(columns='amount')


def wilson(k, n, sign):
    with np.errstate(divide='ignore', invalid='ignore'):
        return np.where(n > 0, (2 * k + Z * Z + sign * Z * np.sqrt(Z * Z + 4 * k * (1 - k / n))) / (2 * (n + Z * Z)), np.nan)


def steps(days, events):
    """Days on which something happened, with those at risk, events, and censored."""
    n = np.bincount(days)
    e = np.bincount(days, weights=events, minlength=len(n)).astype(np.int64)
    at_risk = n[::-1].cumsum()[::-1]
    return np.arange(len(n)), at_risk, e, n - e


# ---------- jobs ----------

def segments():
    l = valid_lines()
    g = l.groupby('user_id', sort=False).agg(amount=('amount', 'sum'), last_at=('created_at', 'max'))
    g['orders'] = l[['user_id', 'order_id']].drop_duplicates().groupby('user_id', sort=False).size()
    g['recency_days'] = (AS_OF.to_datetime64() - dates(g.last_at.values)) // DAY
    g['r'], g['f'], g['m'] = scores(g.recency_days.values, g.orders.values, g.amount.values, np.quantile(g.amount.values, [0.25, 0.5, 0.75, 0.95]))
    g['segment_rank'] = rank(g.r.values, g.f.values, g.m.values)
    return segment_table(g)


def customers():
    l = valid_lines()
    cost = pd.Series(data['products'].cost.values, data['products'].id.values).reindex(l.product_id.values).values
    known = ~np.isnan(cost)
    l = l.assign(with_cost=np.where(known, l.amount.values, 0), cost=np.where(known, cost, 0).astype(np.int64),
                 greatest=l.amount.values * 2147483648 + (2147483647 - l.product_id.values))
    o = l.groupby(['user_id', 'order_id'], sort=False).agg(first_at=('created_at', 'min'), last_at=('created_at', 'max'), lines=('amount', 'size'),
            amount=('amount', 'sum'), with_cost=('with_cost', 'sum'), cost=('cost', 'sum'), greatest=('greatest', 'max')).reset_index()
    o = o.sort_values(['user_id', 'first_at', 'order_id'], ignore_index=True)
    n = o.groupby('user_id').cumcount().values
    first, second = o[n == 0].set_index('user_id'), o[n == 1].set_index('user_id')
    c = o.groupby('user_id').agg(orders=('order_id', 'size'), lines=('lines', 'sum'), amount=('amount', 'sum'), with_cost=('with_cost', 'sum'),
                                 cost=('cost', 'sum'), last_order_at=('last_at', 'max'))
    c['first_order_at'], c['first_order_until'], c['second_order_at'] = first.first_at, first.last_at, second.first_at
    c['first_order_amount'], c['first_product_id'] = first.amount, 2147483647 - first.greatest % 2147483648

    e = data['events']
    length = max(e.user_id.max(), c.index.max()) + 1
    after, until = (np.full(length, AS_OF.to_datetime64(), 'datetime64[ns]') for _ in range(2))
    after[c.index.values], until[c.index.values] = c.first_order_at.values, c.first_order_until.values
    at = e.created_at.values
    e = e[(at > after[e.user_id.values]) & (at < AS_OF.to_datetime64())]
    s = e.groupby(['user_id', 'session'], sort=False).created_at.max().reset_index()
    c['sessions_after_purchase'] = s.groupby('user_id').size().reindex(c.index, fill_value=0)
    c['return_sessions'] = s[s.created_at.values > until[s.user_id.values]].groupby('user_id').size().reindex(c.index, fill_value=0)

    c['recency_days'] = (AS_OF.to_datetime64() - dates(c.last_order_at.values)) // DAY
    c['r'], c['f'], c['m'] = scores(c.recency_days.values, c.orders.values, c.amount.values, np.quantile(c.amount.values, [0.25, 0.5, 0.75, 0.95]))
    c['rfm_score'] = c.r * 100 + c.f * 10 + c.m
    c['segment_rank'] = rank(c.r.values, c.f.values, c.m.values)
    c['segment'] = SEGMENTS.segment.values[c.segment_rank.values - 1]
    c['stage'] = STAGE[c.segment_rank.values]
    c['activity_level'] = LEVELS[level(c.return_sessions.values)]
    c = c.reset_index().rename(columns={'user_id': 'customer_id'})
    u = data['users'].rename(columns={'id': 'customer_id', 'traffic_source': 'channel', 'created_at': 'signed_up_at'})
    p = data['products'][['id', 'category', 'brand', 'name']].rename(
        columns={'id': 'first_product_id', 'category': 'first_category', 'brand': 'first_brand', 'name': 'first_product'})
    c = c.merge(u, how='left', on='customer_id').merge(p, how='left', on='first_product_id')
    with np.errstate(invalid='ignore'):
        c['days_to_second'] = (dates(c.second_order_at.values) - dates(c.first_order_at.values)) // DAY
    c['has_second'] = c.second_order_at.notna()
    c['watched'] = (np.where(c.has_second, dates(c.second_order_at.values), dates(np.array(AS_OF.to_datetime64()))) - dates(c.first_order_at.values)) // DAY
    model['customers'] = c


def analyses():
    c = model['customers']
    n, total = len(c), c.amount.sum()
    vip, promising = (c.stage == 'vip').values, (c.stage == 'promising').values
    days, at_risk, events, censored = steps(c.watched.values, c.has_second.values)
    with np.errstate(divide='ignore'):
        survival = np.cumprod(np.where(at_risk > 0, 1 - events / np.maximum(at_risk, 1), 1))
        variance = np.cumsum(np.where(at_risk > events, events / (at_risk * np.maximum(at_risk - events, 1.0)), 0))

    richest = np.sort(c.amount.values)[::-1]
    risk = (c.stage == 'risk').values
    margin = (c.with_cost.sum() - c.cost.sum()) / c.with_cost.sum()
    lines = data['order_items']
    registered = len(data['users'])
    model['overview'] = pd.DataFrame([{
        'as_of': str(AS_OF), 'registered': registered, 'customers': n, 'prospects': registered - c.channel.notna().sum(), 'orders': c.orders.sum(),
        'revenue': money(total), 'unassigned_revenue': money(lines.amount.values[lines.user_id.isna().values].sum()), 'average_revenue': money(total) / n,
        'average_orders': c.orders.mean(), 'repurchase_rate': (c.orders >= 2).mean(), 'vip_share': vip.mean(), 'churn_risk_share': risk.mean(),
        'churn_risk_revenue_share': c.amount.values[risk].sum() / total, 'top20_revenue_share': richest[:(n + 4) // 5].sum() / total, 'margin_rate': margin}])

    s = segment_table(c)
    model['segments'] = s
    groups = {'vip': 'growth', 'loyal': 'growth', 'promising': 'growth', 'attention': 'attention', 'risk': 'churn risk', 'other': 'other'}
    model['churn_risk'] = s[['segment', 'segment_rank', 'customers', 'customer_share', 'revenue', 'revenue_share']].assign(risk_group=s.stage.map(groups))
    model['action_plan'] = s[['segment', 'segment_rank', 'stage', 'customers', 'revenue']]

    parts = []
    for dimension in ('channel', 'first_category', 'country', 'gender'):
        g = c.groupby(['segment_rank', dimension], observed=True, dropna=False).amount.agg(['size', 'sum']).reset_index()
        g.columns = ['segment_rank', 'value', 'customers', 'amount']
        g['value'], g['dimension'] = g.value.astype(object), dimension
        g['customer_share'] = g.customers / g.groupby('value', dropna=False).customers.transform('sum')
        parts.append(g)
    g = pd.concat(parts, ignore_index=True)
    g['segment'], g['revenue'], g['average_revenue'] = SEGMENTS.segment.values[g.segment_rank - 1], money(g.amount), money(g.amount) / g.customers
    model['segment_breakdown'] = g.drop(columns='amount')

    r, f, m = (x.ravel() for x in np.meshgrid(range(1, 6), range(1, 6), range(1, 6), indexing='ij'))
    cells = pd.DataFrame({'r': r, 'f': f, 'm': m, 'segment': SEGMENTS.segment.values[rank(r, f, m) - 1]})
    g = c.groupby('rfm_score').amount.agg(['size', 'sum']).reindex(r * 100 + f * 10 + m, fill_value=0)
    cells['customers'], cells['revenue'] = g['size'].values, money(g['sum'].values)
    model['score_cells'] = cells

    percentile = np.arange(n) * 100 // n + 1
    counts, sums = np.bincount(percentile, minlength=101)[1:], np.array([x.sum() for x in np.split(richest, np.searchsorted(percentile, range(2, 101)))])
    model['pareto'] = pd.DataFrame({'customer_percentile': range(1, 101), 'customers': counts, 'revenue': money(sums), 'revenue_share': sums / total,
                                    'cumulative_revenue_share': sums.cumsum() / total})

    p = c[promising]
    p = p.assign(own=level(p.return_sessions.values), published=level(p.sessions_after_purchase.values),
                 days=(dates(np.array(AS_OF.to_datetime64())) - dates(p.first_order_at.values)) // DAY)
    own = p.groupby(['segment_rank', 'own']).agg(customers=('amount', 'size'), average_revenue=('amount', 'mean'), average_days_since_first_order=('days', 'mean'))
    published = p.groupby(['segment_rank', 'published']).agg(published_customers=('amount', 'size'), published_average_revenue=('amount', 'mean'))
    grid = pd.MultiIndex.from_product([[4, 5], range(5)], names=['segment_rank', 'own'])
    g = own.reindex(grid).join(published.rename_axis(['segment_rank', 'own']).reindex(grid)).reset_index()
    g[['customers', 'published_customers']] = g[['customers', 'published_customers']].fillna(0).astype(np.int64)
    g['revenue_ratio'] = g.average_revenue / g.groupby('segment_rank').average_revenue.transform('first')
    g['customer_share'] = g.customers / g.groupby('segment_rank').customers.transform('sum')
    g['activity_order'], g['activity_level'], g['segment'] = g.own + 1, LEVELS[g.own], SEGMENTS.segment.values[g.segment_rank - 1]
    g['average_revenue'], g['published_average_revenue'] = money(g.average_revenue), money(g.published_average_revenue)
    model['promising_activity'] = g.drop(columns='own')

    parts = []
    for what in ('category', 'brand', 'product'):
        codes, names = pd.factorize(c['first_' + what])
        size = np.bincount(codes[codes >= 0], minlength=len(names))
        kept = (codes >= 0) & ((what == 'category') | (size >= 30)[codes])
        k = c[kept]
        code, i = codes[kept], np.unique(codes[kept])
        if len(i) == 0:
            continue

        def count(weights=None):
            return np.bincount(code, weights=weights, minlength=len(names))[i]
        vips, prom = count(vip[kept]).astype(int), count(promising[kept]).astype(int)
        later = k.amount.values - k.first_order_amount.values
        # one row per name and day up to 365, descending days summed for those at risk
        width = k.watched.max() + 1
        key = code.astype(np.int64) * width + k.watched.values
        watched = np.bincount(key, minlength=len(names) * width).reshape(-1, width)[i]
        event = np.bincount(key, weights=k.has_second.values, minlength=len(names) * width).reshape(-1, width)[i]
        risk_n = watched[:, ::-1].cumsum(axis=1)[:, ::-1]
        last = min(366, width)
        e, a = event[:, :last], np.maximum(risk_n[:, :last], 1)
        sv = np.prod(1 - e / a, axis=1)
        var = np.sum(np.where(a > e, e / (a * np.maximum(a - e, 1.0)), 0), axis=1)
        with np.errstate(divide='ignore', invalid='ignore'):
            rate = np.where((risk_n[:, 365] > 0 if width > 365 else False) | (sv == 0), 1 - sv, np.nan)
            w = np.where((sv > 0) & (sv < 1), Z * np.sqrt(var) / np.abs(np.log(sv)), np.nan)
            parts.append(pd.DataFrame({
                'level': what, 'name': np.asarray(names)[i], 'customers': count(), 'vip_customers': vips, 'promising_customers': prom,
                'vip_share': vips / count(), 'vip_share_low': wilson(vips, count(), -1), 'vip_share_high': wilson(vips, count(), 1),
                'maturity_rate': vips / (vips + prom), 'maturity_rate_low': wilson(vips, vips + prom, -1), 'maturity_rate_high': wilson(vips, vips + prom, 1),
                'average_vip_revenue': money(count(np.where(vip[kept], k.amount.values, 0)) / vips), 'average_revenue': money(count(k.amount.values) / count()),
                'second_order_365_rate': rate, 'second_order_365_rate_low': np.where(np.isnan(rate + w), np.nan, 1 - sv ** np.exp(-w)),
                'second_order_365_rate_high': np.where(np.isnan(rate + w), np.nan, 1 - sv ** np.exp(w)), 'revenue_after_first_order': money(count(later) / count())}))
    model['gateway_products'] = pd.concat(parts, ignore_index=True)

    g = pd.DataFrame({'channel': c.channel, 'customers': 1, 'vip_customers': vip, 'promising_high': c.segment_rank == 4, 'promising_low': c.segment_rank == 5,
                      'vip_amount': np.where(vip, c.amount, 0)}).groupby('channel', observed=True).sum().reset_index()
    g['channel'] = g.channel.astype(object)
    k, a = g.vip_customers.values, (g.vip_customers + g.promising_high + g.promising_low).values
    rate = k.sum() / a.sum()
    x = ((k - a * rate) ** 2 / (a * rate * (1 - rate))).sum()
    g['active_customers'], g['maturity_rate'], g['maturity_rate_low'], g['maturity_rate_high'] = a, k / a, wilson(k, a, -1), wilson(k, a, 1)
    g['average_vip_revenue'] = money(g.pop('vip_amount') / g.vip_customers)
    # five channels: four degrees of freedom
    g['p_value'] = np.exp(-x / 2) * (1 + x / 2) if (a * min(rate, 1 - rate)).min() >= 5 else np.nan
    model['channel_maturity'] = g

    k = c[c.has_second]
    bucket = np.searchsorted([7, 14, 30, 60, 90], k.days_to_second.values, side='left') + 1
    g = k.groupby([k.segment_rank.values, bucket]).agg(customers=('amount', 'size'), average_days=('days_to_second', 'mean'), average_revenue=('amount', 'mean'))
    g = g.reindex(pd.MultiIndex.from_product([range(1, 10), range(1, 7)], names=['segment_rank', 'bucket_order'])).reset_index()
    g['customers'] = g.customers.fillna(0).astype(np.int64)
    of_segment = g.groupby('segment_rank').customers.transform('sum')
    g['customer_share'] = g.customers / of_segment.where(of_segment > 0)
    g['average_revenue'], g['segment'] = money(g.average_revenue), SEGMENTS.segment.values[g.segment_rank - 1]
    g['bucket'] = np.array(['<= 7 days', '<= 14 days', '<= 30 days', '<= 60 days', '<= 90 days', '> 90 days'])[g.bucket_order - 1]
    g['speed_class'] = np.array(['quick', 'quick', 'quick', 'medium', 'slow', 'slow'])[g.bucket_order - 1]
    model['repurchase_timing'] = g

    shown = (events + censored > 0) & (at_risk >= 30)
    with np.errstate(divide='ignore', invalid='ignore'):
        w = np.where(survival < 1, Z * np.sqrt(variance) / np.abs(np.log(survival)), np.nan)
    model['repurchase_curve'] = pd.DataFrame({
        'days_since_first_order': days, 'customers_at_risk': at_risk, 'repurchased': events, 'censored': censored, 'cumulative_repurchase_rate': 1 - survival,
        'cumulative_repurchase_rate_low': np.where(np.isnan(w), np.nan, 1 - survival ** np.exp(-w)),
        'cumulative_repurchase_rate_high': np.where(np.isnan(w), np.nan, 1 - survival ** np.exp(w))})[shown]

    k = c[c.signed_up_at.notna()]
    bucket = np.searchsorted([0, 1, 8, 31, 91, 366], (dates(k.first_order_at.values) - dates(k.signed_up_at.values)) // DAY, side='right') + 1
    g = pd.DataFrame({'amount': k.amount.values, 'again': k.orders.values >= 2, 'vip': k.stage.values == 'vip'}).groupby(bucket).agg(
        customers=('amount', 'size'), average_revenue=('amount', 'mean'), repurchase_rate=('again', 'mean'), vip_share=('vip', 'mean'))
    g = g.reindex(range(1, 8)).rename_axis('bucket_order').reset_index()
    g['bucket'] = ['before sign-up', 'same day', '1-7 days', '8-30 days', '31-90 days', '91-365 days', '> 365 days']
    g['customers'], g['average_revenue'] = g.customers.fillna(0).astype(np.int64), money(g.average_revenue)
    model['first_purchase_timing'] = g

    def month(times):
        return times.astype('datetime64[M]').astype(np.int64)
    l = valid_lines()
    cohort = np.zeros(max(c.customer_id.max(), l.user_id.max()) + 1, np.int64)
    cohort[c.customer_id.values] = month(c.first_order_at.values)
    start, end = cohort[l.user_id.values], month(l.created_at.values)
    base, span = start.min(), end.max() - start.min() + 1
    key = (start - base) * span + (end - base)
    amounts = pd.Series(l.amount.values).groupby(key).sum()
    pair = np.unique(l.user_id.values.astype(np.int64) * span + (end - base))
    active = np.bincount((cohort[pair // span] - base) * span + pair % span, minlength=span * span)
    sizes = np.bincount(month(c.first_order_at.values) - base, minlength=span)
    last = (AS_OF - pd.Timedelta(1, 'us')).to_period('M').ordinal - base
    rows = [(i, j) for i in range(span) if sizes[i] for j in range(i, last + 1)]
    i, j = np.array(rows).T
    keys = i * span + j
    in_grid = np.where(j < span, keys, 0)
    model['cohort_retention'] = pd.DataFrame({
        'cohort_month': (i + base).astype('datetime64[M]').astype('datetime64[D]').astype(str), 'months_since': j - i, 'cohort_customers': sizes[i],
        'active_customers': np.where(j < span, active[in_grid], 0), 'retention_rate': np.where(j < span, active[in_grid], 0) / sizes[i],
        'revenue': money(amounts.reindex(keys, fill_value=0).values),
        'is_complete': (j + base + 1).astype('datetime64[M]') <= AS_OF.to_datetime64()})

    inactive, recent = (c.return_sessions == 0).values, (~c.has_second & (c.watched < 90)).values
    ranks, peer = c.segment_rank.values, c.return_sessions.between(2, 3).values
    baseline = 1 - survival[min(90, len(survival) - 1)]
    rows = []
    for order, name, of, response, conversion in (
            (1, '1-A wake Promising High Value', 4, 0.30, 0.50), (2, '1-B wake Promising Low Value', 5, 0.20, 0.35), (3, '2 second order within 90 days', 0, 1, 0.50),
            (4, '3 win back Need Attention', 6, 0.10, 1), (5, '3 win back At Risk', 7, 0.05, 1), (6, '3 win back Hibernating', 8, 0.02, 1)):
        member = recent if order == 3 else (ranks == of) & inactive if order < 3 else ranks == of
        own = member & ~(promising & inactive) if order == 3 else member & ~recent if order > 3 else member
        basis = (ranks == of) & peer if order < 3 else member
        value = money(c.amount.values[basis].sum()) / (basis.sum() if order < 3 else c.orders.values[basis].sum())
        for whole, audience in ((True, member.sum()), (False, own.sum())):
            before = baseline if order == 3 else 0
            responders, buyers, added = audience * response, audience * response * conversion, audience * response * (conversion - before)
            revenue = added * value
            gross, cost = margin * revenue, 0.15 * buyers * value + 0.05 * revenue
            rows.append((whole, order, name, audience, response, conversion, before, value, margin, *(round(x, 4) for x in (responders, buyers, added, revenue, gross, cost)),
                         round(gross, 4) - round(cost, 4), 100 * (gross - cost) / cost, 100 * revenue / cost))
    g = pd.DataFrame(rows, columns=['whole', 'campaign_order', 'campaign', 'audience', 'response_rate', 'conversion_rate', 'baseline_rate', 'order_value', 'margin_rate',
                                    'responders', 'buyers', 'added_buyers', 'added_revenue', 'gross_profit', 'cost', 'net_profit', 'roi_percent', 'roas_percent'])
    t = g[~g.whole][['audience', 'responders', 'buyers', 'added_buyers', 'added_revenue', 'gross_profit', 'cost', 'net_profit']].sum()
    t['campaign'], t['roi_percent'], t['roas_percent'] = 'Total', 100 * t.net_profit / t.cost, 100 * t.added_revenue / t.cost
    model['roi'] = pd.concat([g[g.whole], pd.DataFrame([t])], ignore_index=True).drop(columns='whole')


def show_customers(step):
    c = model['customers']
    c = c[c.customer_id % step == 0]
    return c.assign(revenue=money(c.amount), average_order_value=money(c.amount) / c.orders)[[
        'customer_id', 'channel', 'signed_up_at', 'first_order_at', 'second_order_at', 'last_order_at', 'orders', 'lines', 'revenue', 'average_order_value',
        'first_product_id', 'first_category', 'recency_days', 'r', 'f', 'm', 'rfm_score', 'segment', 'segment_rank', 'sessions_after_purchase', 'return_sessions',
        'activity_level', 'country', 'gender']]


def percentiles(table):
    cuts = np.quantile(data[table].amount.values, [0.25, 0.5, 0.75, 0.95])
    return pd.DataFrame([cuts], columns=['cut1', 'cut2', 'cut3', 'cut4'])


def score_rows():
    t = data['measures']
    r, f, m = scores(t.days.values, t.orders.values, t.amount.values, [20, 55, 150, 330])
    return r * 100 + f * 10 + m, SEGMENTS.segment.values[rank(r, f, m) - 1]


def values(frame):
    def plain(x):
        if x is None or x is pd.NaT or isinstance(x, float) and np.isnan(x):
            return None
        return x.item() if isinstance(x, np.generic) else str(x) if isinstance(x, pd.Timestamp) else x
    return [[plain(x) for x in row] for row in frame.astype(object).itertuples(index=False, name=None)]


def run(question):
    job = question['job']
    start = time.perf_counter()
    frame = None
    if job == 'load':
        load(question['table'], question['path'])
    elif job == 'segments':
        frame = segments()
    elif job == 'model':
        customers()
        analyses()
    elif job == 'analyses':
        analyses()
    elif job == 'percentiles':
        frame = percentiles(question['table'])
    elif job == 'scores':
        score, segment = score_rows()
    elif job == 'show':
        frame = show_customers(question['step']) if question['name'] == 'customers' else model[question['name']]
    seconds = time.perf_counter() - start
    if job == 'scores' and question.get('fetch'):
        frame = pd.DataFrame({'score': score, 'segment': segment}).groupby(['score', 'segment']).size().reset_index(name='customers')
    answer = {'seconds': seconds}
    if frame is not None:
        answer.update(columns=list(frame.columns), rows=values(frame))
    return answer


for line in sys.stdin:
    try:
        answer = run(json.loads(line))
    except Exception:  # the harness shows it
        answer = {'error': traceback.format_exc()}
    print(json.dumps(answer), flush=True)

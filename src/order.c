/*
 * order.c
 *	  What is known of one order of one customer, line by line, and what a
 *	  customer's orders say together.  profile and profile_all keep orders in
 *	  different containers and share everything else here.
 */
#include "rfm.h"

#include "utils/timestamp.h"

/* An order without lines. */
void
order_init(Order *order, uint64 id)
{
	memset(order, 0, sizeof(*order));
	order->id = id;
	order->greatest = -1;
	order->first_at = DT_NOEND;
	order->last_at = DT_NOBEGIN;
}

/* Whether an order that was read from somewhere can be: a purchase has times, a greatest line, and only then a product. */
bool
order_is_valid(const Order *order)
{
	if (order->greatest == -1)
		return order->first_at == DT_NOEND && order->last_at == DT_NOBEGIN && !order->has_product;
	return order->greatest >= 0 && IS_VALID_TIMESTAMP(order->first_at) && IS_VALID_TIMESTAMP(order->last_at) &&
		order->first_at <= order->last_at;
}

/*
 * Whether a purchase line beats the greatest so far: the larger amount, then
 * the smaller product, a missing one last.
 */
static bool
is_greater(const Order *order, const IdHeap *heap, int64 amount, bool has_product, uint64 product,
		   const IdHeap *product_heap, IdKind product_kind)
{
	if (amount != order->greatest)
		return amount > order->greatest;
	if (!has_product || !order->has_product)
		return has_product;
	return id_compare(product_kind, product_heap, product, heap, order->product) < 0;
}

/* Takes a product over as that of the greatest purchase line. */
static void
set_greatest(Order *order, IdHeap *heap, int64 amount, bool has_product, uint64 product,
			 const IdHeap *product_heap, IdKind product_kind)
{
	order->greatest = amount;
	order->has_product = has_product;
	if (!has_product)
		order->product = 0;
	else if (heap == product_heap)
		order->product = product;
	else
		order->product = id_copy(heap, product_heap, product, product_kind);
}

/* Adds a line.  Its product may be copied into the order's heap. */
void
order_add(Order *order, const Line *line, IdKind product_kind, IdHeap *heap, const IdHeap *line_heap)
{
	if (line->in_window)
		money_sum_add(&order->revenue, line->amount);
	if (line->amount < 0)
		return;
	order->first_at = Min(order->first_at, line->at);
	order->last_at = Max(order->last_at, line->at);
	if (is_greater(order, heap, line->amount, line->has_product, line->product, line_heap, product_kind))
		set_greatest(order, heap, line->amount, line->has_product, line->product, line_heap, product_kind);
}

/* Adds what another state knows of the same order. */
void
order_merge(Order *order, const Order *other, IdKind product_kind, IdHeap *heap, const IdHeap *other_heap)
{
	money_sum_merge(&order->revenue, &other->revenue);
	order->first_at = Min(order->first_at, other->first_at);
	order->last_at = Max(order->last_at, other->last_at);
	if (is_greater(order, heap, other->greatest, other->has_product, other->product, other_heap, product_kind))
		set_greatest(order, heap, other->greatest, other->has_product, other->product, other_heap, product_kind);
}

/* Whether order a comes before b: by first purchase line, then by order id. */
static bool
comes_before(const Order *a, const Order *b, IdKind order_kind, const IdHeap *heap)
{
	if (a->first_at != b->first_at)
		return a->first_at < b->first_at;
	return id_compare(order_kind, heap, a->id, heap, b->id) < 0;
}

/* No orders yet. */
void
order_summary_init(OrderSummary *summary)
{
	summary->first = NULL;
	summary->second = NULL;
	summary->orders = 0;
	summary->last_at = DT_NOBEGIN;
}

/* Takes one order of the customer into account, in any sequence. */
void
order_summary_add(OrderSummary *summary, const Order *order, IdKind order_kind,
				  const IdHeap *heap, TimestampTz window_start)
{
	if (order->first_at == DT_NOEND)
		return;
	if (summary->first == NULL || comes_before(order, summary->first, order_kind, heap))
	{
		summary->second = summary->first;
		summary->first = order;
	}
	else if (summary->second == NULL || comes_before(order, summary->second, order_kind, heap))
		summary->second = order;
	summary->orders += order->last_at >= window_start;
	summary->last_at = Max(summary->last_at, order->last_at);
}

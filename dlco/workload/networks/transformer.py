"""One encoder block of a transformer: the networks repeat it, so its mapping serves all of them."""

from dlco.workload.layer import Layer
from dlco.workload.layers import attention_scores, attention_values, linear
from dlco.workload.problem import check_positive_int


def bert_base_block(batch: int = 1, sequence_length: int = 128) -> list[Layer]:
    """One of BERT-base's 12 encoder layers: 768 features, 12 heads (arXiv:1810.04805, section 3).

    Args:
        batch: sequences.
        sequence_length: tokens of each.

    Returns:
        The layers projection (of queries, keys, values and the output: count 4), scores, values, ffn_up, ffn_down.

    Raises:
        InvalidInput: an argument is not a positive integer.
    """
    check_positive_int("sequence_length", sequence_length)
    return _encoder_block(batch, sequence_length, hidden=768, heads=12, feed_forward=3072)


def vit_b16_block(batch: int = 1) -> list[Layer]:
    """One of ViT-B/16's 12 encoder blocks (arXiv:2010.11929, table 1): 14 x 14 patches of an image and a class token.

    Returns:
        The layers of `bert_base_block`, for 197 tokens.

    Raises:
        InvalidInput: `batch` is not a positive integer.
    """
    return _encoder_block(batch, tokens=14 * 14 + 1, hidden=768, heads=12, feed_forward=3072)


def _encoder_block(batch: int, tokens: int, hidden: int, heads: int, feed_forward: int) -> list[Layer]:
    check_positive_int("batch", batch)
    head_dim = hidden // heads
    return [
        linear("projection", N=batch * tokens, C=hidden, M=hidden, count=4),
        attention_scores("scores", N=batch, heads=heads, queries=tokens, head_dim=head_dim),
        attention_values("values", N=batch, heads=heads, queries=tokens, head_dim=head_dim),
        linear("ffn_up", N=batch * tokens, C=hidden, M=feed_forward),
        linear("ffn_down", N=batch * tokens, C=feed_forward, M=hidden),
    ]

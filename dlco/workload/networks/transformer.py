"""Transformers: one encoder block of BERT and of ViT, which the networks repeat, and a decoder with its KV cache.

Every block has a "projection" of queries, keys and values each, or one "qkv" of them all, "scores", "values", the
"projection" of the output, "ffn_up" and "ffn_down"; with all operators also "softmax", sums and normalisations. A
decoder's attention reads keys and values of all tokens until then from its cache in DRAM, and those of the tokens that
it processes as they come out.
"""

from dlco.errors import InvalidInput
from dlco.workload.graph import OUTSIDE, Origin
from dlco.workload.layer import Layer
from dlco.workload.layers import attention_scores, attention_values, linear
from dlco.workload.networks.builder import INPUT, Recorder
from dlco.workload.passes import embedding
from dlco.workload.problem import check_count, check_positive_int

BLOCKS, CONTEXT, VOCABULARY = 12, 1024, 50257  # of GPT-2 small


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
    return follow_bert_base_block(Recorder(macs_only=True), batch, sequence_length).layers()


def vit_b16_block(batch: int = 1) -> list[Layer]:
    """One of ViT-B/16's 12 encoder blocks (arXiv:2010.11929, table 1): 14 x 14 patches of an image and a class token.

    Returns:
        The layers of `bert_base_block`, for 197 tokens.

    Raises:
        InvalidInput: `batch` is not a positive integer.
    """
    return follow_vit_b16_block(Recorder(macs_only=True), batch).layers()


def gpt2_small_prefill(batch: int = 1, tokens: int = 1024) -> list[Layer]:
    """GPT-2 small reading a prompt: 12 decoder blocks of 768 features and 12 heads, 50257 words in its vocabulary.

    Sizes are those of the released model of 124,439,808 parameters ("Language Models are Unsupervised Multitask
    Learners", table 2, whose own count is of another vocabulary). Every query meets every key: scores of later tokens,
    which the mask drops, are computed.

    Args:
        batch: prompts.
        tokens: of each, up to 1024.

    Returns:
        The layers qkv, scores, values, projection, ffn_up, ffn_down, and head, which gives the words that may come
        next, of the last token alone.

    Raises:
        InvalidInput: an argument is not a positive integer, or there are over 1024 tokens.

    Examples:
        >>> network = dlco.networks.gpt2_small_prefill(tokens=128)
        >>> [(layer.name, layer.count) for layer in network][:3]
        [('qkv', 12), ('scores', 12), ('values', 12)]
    """
    return follow_gpt2_small_prefill(Recorder(macs_only=True), batch, tokens).layers()


def gpt2_small_decode(batch: int = 1, past: int = 512, tokens: int = 1) -> list[Layer]:
    """GPT-2 small writing tokens one by one, with the keys and values of all tokens before in a cache.

    Args:
        batch: texts.
        past: tokens of each in the cache at the beginning.
        tokens: that are written; with `past` up to 1024.

    Returns:
        The layers of `gpt2_small_prefill` for one token at a time; scores and values are layers of their own for every
        length of the cache, named by it, such as "scores_513".

    Raises:
        InvalidInput: `batch` or `tokens` is not a positive integer, `past` is negative, or there are over 1024 tokens.

    Examples:
        >>> network = dlco.networks.gpt2_small_decode(past=512, tokens=2)
        >>> [layer.name for layer in network]
        ['qkv', 'scores_513', 'values_513', 'projection', 'ffn_up', 'ffn_down', 'head', 'scores_514', 'values_514']
    """
    return follow_gpt2_small_decode(Recorder(macs_only=True), batch, past, tokens).layers()


def follow_bert_base_block(net: Recorder, batch: int = 1, sequence_length: int = 128) -> Recorder:
    """Take a recorder through the block."""
    check_positive_int("batch", batch)
    tokens, hidden = (batch, sequence_length), 768
    attended = net.add("attention_add", (*tokens, hidden), _attention(net, batch, sequence_length, INPUT), INPUT)
    middle = net.normalise("attention_norm", (*tokens, hidden), attended)
    total = net.add("ffn_add", (*tokens, hidden), _feed_forward(net, batch * sequence_length, middle), middle)
    net.leave(net.normalise("ffn_norm", (*tokens, hidden), total))
    return net


def follow_vit_b16_block(net: Recorder, batch: int = 1) -> Recorder:
    """Take a recorder through the block."""
    check_positive_int("batch", batch)
    tokens, hidden = 14 * 14 + 1, 768
    shape = batch, tokens, hidden
    normed = net.normalise("attention_norm", shape, INPUT)
    middle = net.add("attention_add", shape, _attention(net, batch, tokens, normed), INPUT)
    normed = net.normalise("ffn_norm", shape, middle)
    net.leave(net.add("ffn_add", shape, _feed_forward(net, batch * tokens, normed), middle))
    return net


def follow_gpt2_small_prefill(net: Recorder, batch: int = 1, tokens: int = 1024) -> Recorder:
    """Take a recorder through the model."""
    check_positive_int("batch", batch)
    check_positive_int("tokens", tokens)
    _check_context(tokens)
    _decoder(net, batch, tokens, 0)
    return net


def follow_gpt2_small_decode(net: Recorder, batch: int = 1, past: int = 512, tokens: int = 1) -> Recorder:
    """Take a recorder through the model, token by token."""
    check_positive_int("batch", batch)
    check_count("past", past)
    check_positive_int("tokens", tokens)
    _check_context(past + tokens)
    for token in range(tokens):
        _decoder(net, batch, 1, past + token)
    return net


def _check_context(tokens: int) -> None:
    if tokens > CONTEXT:
        raise InvalidInput(f"tokens are {tokens} with those in the cache; the model has {CONTEXT} positions")


def _attention(net: Recorder, batch: int, tokens: int, read: Origin, hidden: int = 768, heads: int = 12) -> Origin:
    """Attention of all tokens to all."""
    project = linear("projection", N=batch * tokens, C=hidden, M=hidden)
    queries, keys, values = (net.run(project, Inputs=read) for _ in range(3))
    attended = _attended(net, "", batch, tokens, tokens, (queries, keys, values), hidden, heads)
    return net.run(project, Inputs=attended)


def _attended(
    net: Recorder,
    name: str,
    batch: int,
    queries: int,
    keys: int,
    origins: tuple[Origin, Origin, Origin],
    hidden: int,
    heads: int,
) -> Origin:
    """Scores, softmax and the sum of values; `origins` of queries, keys and values."""
    sizes = {"N": batch, "heads": heads, "queries": queries, "keys": keys, "head_dim": hidden // heads}
    scores = net.run(attention_scores(f"scores{name}", **sizes), Inputs=origins[0], Weights=origins[1])
    shares = net.normalise(f"softmax{name}", (batch * heads, queries, keys), scores, "softmax")
    return net.run(attention_values(f"values{name}", **sizes), Inputs=shares, Weights=origins[2])


def _feed_forward(net: Recorder, tokens: int, read: Origin, hidden: int = 768, feed_forward: int = 3072) -> Origin:
    middle = net.run(linear("ffn_up", N=tokens, C=hidden, M=feed_forward), Inputs=read)
    return net.run(linear("ffn_down", N=tokens, C=feed_forward, M=hidden), Inputs=middle)


def _decoder(net: Recorder, batch: int, tokens: int, past: int) -> None:
    """GPT-2's blocks and head over some tokens; those before are in the cache."""
    hidden, heads = 768, 12
    shape, keys, name = (batch, tokens, hidden), past + tokens, f"_{past + tokens}" if past else ""
    read: Origin = INPUT
    if not net.macs_only:  # the embedding of the words, to which that of their positions is added as it is written
        read = net.run(embedding("embedding", N=batch * tokens, C=hidden), Inputs=INPUT)
    for _ in range(BLOCKS):
        normed = net.normalise("norm", shape, read)
        three = net.run(linear("qkv", N=batch * tokens, C=hidden, M=3 * hidden), Inputs=normed)
        net.leave(three)  # keys and values go to the cache
        cached = three | {OUTSIDE} if past else three
        attended = _attended(net, name, batch, tokens, keys, (three, cached, cached), hidden, heads)
        attended = net.run(linear("projection", N=batch * tokens, C=hidden, M=hidden), Inputs=attended)
        middle = net.add("add", shape, attended, read)
        normed = net.normalise("norm", shape, middle)
        read = net.add("add", shape, _feed_forward(net, batch * tokens, normed), middle)
    last = net.normalise("norm", shape, read)
    net.leave(net.run(linear("head", N=batch, C=hidden, M=VOCABULARY), Inputs=last))

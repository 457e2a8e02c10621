"""Classes and functions that an exported script may need: each stands in it once, where its text speaks of it."""

from __future__ import annotations

import re

ENDED = '''
def ended(x, lengths, nothing=0.0):
    """x (N, T, F) with ``nothing`` beyond the end of each sequence."""
    beyond = torch.arange(x.shape[1]) >= lengths[:, None]
    return x.masked_fill(beyond[:, :, None], nothing)
'''

STATES = '''
def states(module, x, lengths=None):
    """The states (N, T, units) of a recurrent module, each sample read to its own end; 0 beyond."""
    if lengths is None:
        return module(x)[0]
    packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    return nn.utils.rnn.pad_packed_sequence(module(packed)[0], batch_first=True, total_length=x.shape[1])[0]
'''

LAST_STATE = '''
def last_state(module, x, lengths=None):
    """The state (N, units) after the last step of each sample; of both directions, side by side."""
    if lengths is not None:
        x = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    last = module(x)[1]
    last = last[0] if isinstance(last, tuple) else last
    return torch.cat(tuple(last[-2 if module.bidirectional else -1 :]), dim=1)
'''

MEAN_OVER_TIME = '''
def mean_over_time(x, lengths=None):
    """(N, T, F) to (N, F) over the real steps."""
    if lengths is None:
        return x.mean(1)
    return ended(x, lengths).sum(1) / lengths[:, None].to(x.dtype)
'''

LARGEST_OVER_TIME = '''
def largest_over_time(x, lengths=None):
    """(N, T, F) to (N, F) over the real steps; the first of several equal ones."""
    seen = x if lengths is None else ended(x, lengths, -math.inf)
    return x.gather(1, seen.argmax(1, keepdim=True))[:, 0]
'''

LAST_IN_TIME = '''
def last_in_time(x, lengths=None):
    """(N, T, F) to (N, F): the last real step."""
    return x[:, -1] if lengths is None else x[torch.arange(len(x)), lengths - 1]
'''

SINUSOIDS = '''
def sinusoids(steps, features):
    """(T, F): sin and cos of place · 10000^(−2i/F) for feature pairs i (Vaswani and others 2017)."""
    angles = np.arange(steps)[:, None] * np.power(10000.0, -np.arange(0, features, 2) / features)
    table = np.empty((steps, features))
    table[:, 0::2] = np.sin(angles)
    table[:, 1::2] = np.cos(angles[:, : features // 2])
    return torch.from_numpy(table)
'''

REAL_NORMS = '''
class BatchNormOfSteps(nn.BatchNorm1d):
    """Over the real steps of sequences (N, T, F) alone."""

    def forward(self, x, lengths):
        real = torch.arange(x.shape[1]) < lengths[:, None]
        return torch.zeros_like(x).index_put((real,), super().forward(x[real]))
'''

REAL_GROUPS = '''
class GroupNormOfSteps(nn.GroupNorm):
    """Over the real steps of each sequence (N, T, F) alone."""

    def forward(self, x, lengths):
        groups = x.unflatten(2, (self.num_groups, -1))  # (N, T, groups, members)
        count = (lengths * groups.shape[3])[:, None, None].to(x.dtype)
        mean = groups.sum((1, 3)) / count[:, 0]
        offsets = ended((groups - mean[:, None, :, None]).flatten(2), lengths).view_as(groups)
        variance = offsets.square().sum((1, 3)) / count[:, 0]
        normal = offsets / (variance + self.eps).sqrt()[:, None, :, None]
        return normal.flatten(2) * self.weight + self.bias
'''

ATTENTION = '''
class Attention(nn.Module):
    """softmax(QKᵀ/√d)·V for each head, side by side, then one product; keys beyond a sample's end are not looked at."""

    def __init__(self, features, heads, causal):
        super().__init__()
        self.heads, self.causal = heads, causal
        self.qkv, self.out = nn.Linear(features, 3 * features), nn.Linear(features, features)

    def forward(self, x, lengths=None):
        n, steps, features = x.shape
        query, key, value = self.qkv(x).view(n, steps, 3, self.heads, -1).permute(2, 0, 3, 1, 4)  # (N, heads, T, d)
        mask = None
        if lengths is not None:
            mask = (torch.arange(steps) < lengths[:, None])[:, None, None]
            if self.causal:
                mask = mask & torch.ones(steps, steps, dtype=torch.bool).tril()
        heard = nn.functional.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, is_causal=self.causal and mask is None
        )
        return self.out(heard.transpose(1, 2).reshape(n, steps, features))
'''

BLOCK = '''
class TransformerBlock(nn.Module):
    """Attention and two dense layers, both with a norm and a residual connection: x + f(norm(x)), or norm(x + f(x))."""

    def __init__(self, features, hidden, activation, attention, norms, pre, drops=(nn.Identity(), nn.Identity())):
        super().__init__()
        self.attention, (self.norm1, self.norm2) = attention, norms
        self.up, self.down = nn.Linear(features, hidden), nn.Linear(hidden, features)
        self.activation, self.pre, (self.drop1, self.drop2) = activation, pre, drops

    def feed(self, x):
        return self.down(self.activation(self.up(x)))

    def forward(self, x, lengths=None):
        if self.pre:
            x = x + self.drop1(self.attention(self.norm1(x), lengths))
            return x + self.drop2(self.feed(self.norm2(x)))
        x = self.norm1(x + self.drop1(self.attention(x, lengths)))
        return self.norm2(x + self.drop2(self.feed(x)))
'''

THERE = '''
def there(outputs, y):
    """What has a target: nan, beyond the end of a sequence, is none."""
    real = ~y.isnan()
    return outputs[real], y[real]
'''

#: What the text may speak of → the piece; one that speaks of another comes before it.
PIECES = {
    "TransformerBlock": BLOCK,
    "Attention": ATTENTION,
    "BatchNormOfSteps": REAL_NORMS,
    "GroupNormOfSteps": REAL_GROUPS,
    "states": STATES,
    "last_state": LAST_STATE,
    "mean_over_time": MEAN_OVER_TIME,
    "largest_over_time": LARGEST_OVER_TIME,
    "last_in_time": LAST_IN_TIME,
    "sinusoids": SINUSOIDS,
    "ended": ENDED,
    "there": THERE,
}


def pieces(text: str) -> str:
    """What ``text`` needs, and what that needs in turn; the simplest first."""
    needed: list[str] = []
    for name, piece in PIECES.items():
        if piece not in needed and re.search(rf"\b{name}\(", "".join((text, *needed))):
            needed.append(piece)
    return "".join(f"{piece.lstrip()}\n\n" for piece in reversed(needed))

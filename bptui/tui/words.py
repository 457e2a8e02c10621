"""What is said about panes and quantities: two sentences each, and the formula."""

from __future__ import annotations

PANES: dict[int, str] = {
    1: "The network from its input to its last layer: name, inputs → units, activation g, number of parameters. "
    "Each layer computes z = aW + b from the activations before it, then a = g(z).\n\n"
    "    zˡ = aˡ⁻¹ Wˡ + bˡ      aˡ = g(zˡ)",
    2: "The loss L of each update's batch (solid) and of the validation rows (dotted) over the steps; a column "
    "with more than one step shows their lowest and highest. What is not finite is a gap with a mark; m shows another "
    "metric, a smooths, y changes the axis.\n\n"
    "    losses[k] is computed in state k, the state after k updates\n"
    "    ← →        a crosshair with exact values (ctrl: ten columns; a click puts it there), esc takes it away\n"
    "    ↑ ↓        zoom in and out around it; shift+← and shift+→ move, home shows all, end follows the newest step",
    3: "How much each layer learns. The rows are sampled, so they may be some steps old.\n\n"
    "    ‖∇W‖   Euclidean norm of ∂L/∂Wˡ = aˡ⁻¹ᵀ δˡ\n"
    "    Δ/W    ‖ΔW‖ / ‖W‖ of the last update; about 1e-3 is usual\n"
    "    dead   units that gave 0 for every sample looked at, of all units; – where a unit cannot die\n"
    "    bars   counts of floor(log₂|x|): how many values lie in each power of two, one axis for all layers",
    4: "What goes wrong, named: the root cause first, with the layer and the first step at which the evidence held. "
    "f shows each finding with its evidence and its fix.",
}

HEADER = (
    "The line above all panes: the state, the step (the number of updates made so far) and the epoch (how often every "
    "training row has been used), then data, layers' sizes, engine, pace and what the probes cost. Where it is narrow "
    "the last go first.\n\n"
    "    READY     waits for space\n"
    "    RUNNING   trains\n"
    "    PAUSED    stands between two updates, or inside one\n"
    "    DONE      came to its end, and may go on\n"
    "    FAILED    the loss is not finite, or an error ended it\n"
    "    STALE     has no trainer any more\n"
    "    WAITING   a script before its first update\n"
    "    HELD      a script that an error has stopped, kept for a look"
)

#: Quantity → name in the inspector, ASCII name, formula, what it is.
QUANTITIES: dict[str, tuple[str, str, str, str]] = {
    "z": ("z", "z", "zˡ = aˡ⁻¹ Wˡ + bˡ", "what each unit sums up, before the activation: samples × units"),
    "a": ("a", "a", "aˡ = g(zˡ)", "what each unit gives on: samples × units"),
    "delta": ("δ", "delta", "δˡ = (δˡ⁺¹ Wˡ⁺¹ᵀ) ⊙ g′(zˡ)", "how the loss changes with z: samples × units"),
    "grad_W": ("∇W", "grad_W", "∂L/∂Wˡ = aˡ⁻¹ᵀ δˡ", "how the loss changes with each weight: inputs × units"),
    "W": ("W", "W", "W ← W − η · ∂L/∂W  (or the optimiser's rule)", "the weights: inputs × units"),
    "update_W": ("ΔW", "dW", "ΔW = W after the update − W before", "what the coming update adds to W: inputs × units"),
    "upstream": ("upstream", "upstream", "δˡ⁺¹ Wˡ⁺¹ᵀ", "the first factor of δ: what comes back from the next layer"),
    "gate": ("gate", "gate", "g′(zˡ)", "the second factor of δ: what the activation lets through"),
    "b": ("b", "b", "b ← b − η · ∂L/∂b", "the biases: one a unit"),
    "grad_b": ("∇b", "grad_b", "∂L/∂bˡ = Σₙ δˡₙ", "how the loss changes with each bias"),
    "x": ("x", "x", "a⁰ = x", "the batch itself, scaled: samples × features"),
}

#: Stages of the gradient, which the inspector shows as matrices too.
STAGE_QUANTITIES: dict[str, tuple[str, str, str, str]] = {
    "raw_W": ("raw ∇W", "raw", "∂L/∂Wˡ = aˡ⁻¹ᵀ δˡ", "the gradient of the loss alone: inputs × units"),
    "regularised_W": ("reg. ∇W", "regularised", "∂L/∂W + l1 · sign W + 2 · l2 · W", "with the layer's penalties"),
    "clipped_W": ("clipped ∇W", "clipped", "what clipping leaves", "what the optimiser gets: inputs × units"),
}

#: View of the inspector → what it is.
INSPECTOR: dict[str, str] = {
    "ledger": "The ledger multiplies, sample by sample and unit by unit, what comes back from the next layer by what "
    "the activation lets through: what is left is δ. Above stand the norms of the three, the share of the signal that "
    "the gate stopped, and how many gates are exactly 0. The strip shows ‖δ‖ of all layers on one logarithmic scale, "
    "with the ratio to the layer after it: where a ratio is small, the gradient dies.",
    "matrix": "> and < zoom from digits over short numbers to shades of ever larger blocks (a block is its largest "
    "magnitude); o and O sort rows and columns by norm or by the values at the cursor, r reverses. / marks the cells "
    "that meet a condition, m goes to the next. M shows pictures, e changes a cell of W or b.",
    "rows": "The gradient of one unit's weights is a sum over the rows of the batch: row n gives the vector aₙδₙⱼ. "
    "They stand in the order of its length |δₙⱼ|·‖aₙ‖, which is exact for a dense layer. Share is its part along the "
    "whole gradient: the shares of all rows add up to 100 %, and a negative one pulls the other way. Enter shows the "
    "sample.",
    "stages": "From the gradient of the loss to the step that is taken: penalties of the layers are added, clipping by "
    "value and by norm cuts it, and the optimiser makes ΔW of it (weight decay is in ΔW). Between two updates these "
    "are the coming update's, done once and taken back bit for bit; inside one, what has been computed by then.",
    "inside": "What a layer has inside beside z and a, of one sample of the batch; tab shows the "
    "next array, page up and page down another sample, ctrl with left and right another head. Gates and cell: a unit "
    "a row, a step a column, the higher the sign the larger the value. Attention: each row is a step, its columns the "
    "steps that it looks at. delta.time: ‖∂L/∂h_t‖ by step; where it comes to nothing, a memory of what lies further "
    "back cannot be learned. Maps: what each channel gave at each place, side by side on one scale; kernels: a unit a "
    "picture, a channel of its input a page. share.branch: what a branch adds to what passes by it. table: "
    "of an embedding, a row a token, by its name.",
}

LAST_DELTA: dict[str, str] = {
    "cross_entropy": "δᴸ = ∂L/∂zᴸ = (softmax(zᴸ) − y) / N",
    "binary_cross_entropy": "δᴸ = ∂L/∂zᴸ = (σ(zᴸ) − y) / N",
    "mse": "δᴸ = ∂L/∂zᴸ = 2 (aᴸ − y) / (N · outputs) ⊙ g′(zᴸ)",
    "mae": "δᴸ = ∂L/∂zᴸ = sign(aᴸ − y) / (N · outputs) ⊙ g′(zᴸ)",
}

#: Where a generator and its discriminator meet: quantity → formula, what it is.
MEETING: dict[str, tuple[str, str]] = {
    "z": ("[x̂; x]", "generated samples, then as many true ones: samples × features"),
    "a": ("[x̂; x]", "generated samples, then as many true ones: samples × features"),
    "upstream": ("∂L_D/∂[x̂; x]", "what the discriminator gives back of its own loss: samples × features"),
    "delta": ("∂L_G/∂x̂ = ∂L_D/∂x̂ ⊙ gate", "what the generator gets: the discriminator's δ turned round, by sample"),
}
#: Goal of a generator → the factor that makes ∂L_G of ∂L_D.
GATES = {"non_saturating": "(∂L_G/∂z) / (∂L_D/∂z) = −2(1 − p)/p", "minimax": "(∂L_G/∂z) / (∂L_D/∂z) = −2"}

BREAKPOINTS: dict[str, str] = {
    "examples": "loss > 3\nnot is_finite(loss)\nval_accuracy >= 0.96\ndelta(loss, 100) > 0.5\n"
    'dead("dense1") > 0.5 and step > 100\ngrad_norm("dense2") < 1e-6',
    "script": "loss > 3\nnot is_finite(loss)\ndelta(loss, 100) > 0.5\nstep >= 1000\nlr < 1e-6\n"
    'grad_norm("LAYER") < 1e-6',
    "help": "A breakpoint pauses the run where its condition comes to hold: before the update, in the very state. One "
    "that held the last time it was looked at does not hit again until it has ceased to.\n\n"
    "    loss step epoch lr val_loss val_accuracy …      what is recorded\n"
    '    grad_norm update_ratio weight_norm dead saturated activation_mean delta_norm ("layer")\n'
    "    is_finite(x)  abs(x)  log(x)  delta(x, n): x less what it was n steps ago\n"
    "    + - * /   < <= > >= == !=   and or not\n\n"
    "dead and saturated (|z| ≥ 5) are shares. What is recorded is looked at for each step. Layers are looked at as "
    "often as the budget for probes allows (every 12 steps: so often lately); a hit there is traced back to the first "
    "step at which it held since the last look, so that only what comes and goes between two looks is missed.",
}

RUNS: dict[str, str] = {
    "help": "Every run of this user, the newest first. Something that is changed in the past begins a branch: a run of "
    "its own, which stands below the one that it left, with the step. The old future stays as it was.\n\n"
    "Enter opens a run in the place of the one that is shown, which goes on (attach finds it again). x deletes a run "
    "that has ended, after asking. A branch is whole without its parent: either can be deleted.",
}

#: Table → what it is, for the builder; "": the builder itself.
BUILDER: dict[str, str] = {
    "": "A network is data, then layers, then a loss, and an optimiser that changes the weights. Rows on the left are "
    "its parts; Enter opens one on the right, where each field explains itself. Nothing happens to the run until you "
    "apply: then a new run starts, with new weights or with those that still fit.",
    "data": "data: where the rows come from, and how they are split, scaled and put into batches.",
    "model": "A layer computes z = aW + b from what comes before it, then gives a = g(z) on.",
    "loss": "loss: how wrong the outputs are, as one number; training makes it small.",
    "optimizer": "optimizer: how the weights follow the gradient; its learning rate lr matters most.",
    "adversary": "adversary: a second network, the discriminator, that the model has to deceive; the model is its "
    "generator then, and makes samples of noise.",
    "adversary.model": "A layer of the discriminator: from a sample to one logit, above 0 for true.",
    "adversary.optimizer": "The discriminator's own optimiser; that above is the generator's.",
    "schedule": "schedule: how the learning rate changes while it trains.",
    "stop": "stop: when the run ends by itself; the first of these that holds.",
    "experiment": "experiment: name, seed and precision.",
    "machine": "runs on: the engine and the device; auto takes what is there.",
}

#: Chart that fills the screen → two sentences, and its keys.
CHARTS: dict[str, str] = {
    "metrics": "Every series that the run has recorded, a chart each over one axis of steps. Marks on the axis are "
    "changes that someone made, the first steps of findings, and ends of epochs.\n\n"
    "    ← →        a crosshair with the exact values of all, esc takes it away",
    "histogram": "How many values of one layer lie in each power of two, for the gradients, weights, activations and "
    "deltas of the last measured step. Zeros, NaN, Inf and what is out of range have no bar and are counted below.\n\n"
    "    bar k      values with 2ᵏ ≤ |x| < 2ᵏ⁺¹\n"
    "    ← →        exact counts of one bar; [ and ] another layer",
    "ridge": "The histograms of one layer at several steps of the run, one above the other. A ridge that wanders to "
    "the left vanishes, one to the right explodes; h shows another quantity.\n\n"
    "    ↑ ↓        one ridge in numbers; [ and ] another layer",
    "heat": "The norm of every layer's gradient over the whole run on one logarithmic scale: the higher and the "
    "brighter, the larger. A layer that has stopped learning is a low, dark row; h shows Δ/W and ‖δ‖.\n\n"
    "    ← → ↑ ↓    exact value of one cell",
    "confusion": "How many validation rows of each true class (rows) were taken for each class (columns); colour and "
    "height are shares of the row. The mark stands at a class's most frequent mistake, from a twentieth of it on.\n\n"
    "    ← → ↑ ↓    exact count of one cell",
    "boundary": "The class that the network gives each point of the plane: colour and texture say which, strength how "
    "sure it is. The marks are training rows in their own class's shape and colour. Of two networks the classes are "
    "true and generated, as the discriminator takes them: marks of both lie over each other where the generator is "
    "good.\n\n"
    "    ← → ↑ ↓    the point under the cursor, its class and its probability",
}


LENS = (
    "Every unit over the first 3,000 samples of the training part (or all of them), in this state, dropout off; also "
    "while it trains. A relu fires where z > 0. It is dead when it fires for none of the samples: its gradient is 0, "
    "and only the layers before can wake it. By the rule of three, 0 of n samples means less than 3/n of all such "
    "samples, with 95 % confidence.\n\n"
    "    dead       a relu that gives 0 for every sample\n"
    "    saturated  another activation whose slope is next to nothing for every sample: |z| ≥ 5, or z ≤ −5\n"
    "    dormant    mean |a| is at most 0.025 of the layer's mean (Sokar et al. 2023)\n"
    "    quiet      fires for at most 1 % of the samples\n\n"
    "A death certificate names the update after which the unit fired no more. The change of its highest z is taken "
    "apart into what the bias did, what the weights did, and what the layers before did: Δz = Δb + a·ΔW + Δa·W."
)
ONE_BATCH = (
    "The script stands between gradient and update. Each row does this step again on a copy of its models and its "
    "optimiser, with something changed: the same batch, random numbers, buffers and criterion. Then it makes the "
    "update by the optimiser's own rule and computes the loss of the same batch once more. The first row is "
    "unchanged; nothing is shown unless it gives the script's own loss and gradients, bit for bit.\n\n"
    "    loss     of this batch, before the update\n"
    "    then     of the same batch after it\n"
    "    silent   units that give 0 for the whole batch, of those that can\n\n"
    "    lr=/10  lr=0.03  momentum=0  weight_decay=0.01  clip_norm=1  optimizer=adam lr=0.001\n"
    "    activation=gelu  LAYER.activation=tanh  LAYER.bias+=0.1  dropout=0\n"
    "    revive=uniform  revive.LAYER=1  freeze.LAYER=1\n\n"
    "Enter on a row that is done makes a change of settings in the script itself."
)
WHATIF = (
    "Each row is this run from the step above on, with something changed, over the same batches; the first one is "
    "unchanged, and is held against the record bit for bit. They are computed aside, in processes that leave the run "
    "and this screen the cores.\n\n"
    "    lr=/10  lr=0.03  momentum=0  clip_norm=1  weight_decay=0.01  batch_size=64  dropout=0.2\n"
    "    optimizer=adam lr=0.001     several on one line are changed together\n"
    "    activation=gelu  dense1.activation=gelu  init=orthogonal  bias+=0.1  dense1.weight[3,4]=0\n"
    "    revive=he_normal            dead units begin again, with moments of 0\n\n"
    "Enter on a row that is done adopts it: the run goes on as a branch from that step with the same changes; the "
    "future that it had is kept."
)

"""The table of plain scripts: what each of them is there for, and what must be seen in it.

One row a script; a new script is a file in ``scripts/`` and its row here. Numbers are counted by hand from the
script's text; the oracle counts them again by plain torch, and bptui's record must say the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Row:
    """``updates``: kind of each optimiser and its number of steps, in the order of their first step.

    ``models``: the names under which the script keeps the models that are trained (none: where
    they are in a function, or change while they train). ``dead``: for a model and one of
    its ReLUs (or ``parent.relu#1``), how many units never fire.
    """

    script: str
    features: str
    updates: tuple[tuple[str, int], ...]
    models: tuple[str, ...] = ("model",)
    """The variables that hold what is trained, of ``__main__`` or of a function that makes the updates."""
    unseen: str = ""
    """Why there is no model to be seen, where there is none."""
    dead: dict[str, dict[str, int]] = field(default_factory=dict)
    status: int = 0
    words: tuple[str, ...] = ()
    """What stands behind ``python``; empty: the script alone."""
    stdin: bytes = b""
    command_line: bool = False
    """Observed through the real command: what it shows depends on how a process is started or ends."""
    off: tuple[str, ...] = ()
    """Probes that have nothing to look at in it."""
    printed: bool = True
    """Whether the last line of standard output is ``sha256`` and the parameters' hash."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "words", self.words or (self.script,))


TABLE = (
    Row("mlp.py", "Sequential, one batch, dead units", (("SGD", 16),), dead={"model": {"1": 5, "3": 2}}),
    Row("cnn.py", "convolutions, ReLU modules in place, DataLoader, a test pass each epoch, dead channels",
        (("Adam", 16),), dead={"model": {"features.4": 3}}),
    Row("resnet.py", "residual blocks, F.relu called again and again, batch norm, Nesterov, OneCycleLR",
        (("SGD", 12),), models=("net",)),
    Row("lstm_text.py", "LSTM, embedding, state carried over, clip_grad_norm_", (("Adam", 14),), models=("net",)),
    Row("gru_forecast.py", "GRU, clip_grad_value_, ReduceLROnPlateau", (("AdamW", 15),), models=("forecaster",)),
    Row("rnn_cell.py", "one module called six times an update, RMSprop", (("RMSprop", 18),), models=("net",)),
    Row("transformer_encoder.py", "nn.TransformerEncoder, padding mask, its fast path in eval mode, LambdaLR",
        (("AdamW", 12),)),
    Row("gpt.py", "GPT with tied weights, ModuleDict and ModuleList, decay groups, p.grad = None, lr by hand",
        (("AdamW", 12),)),
    Row("gan.py", "two models, two optimisers, zero_grad of the model, detach",
        (("Adam", 11), ("Adam", 11)), models=("netD", "netG")),
    Row("vae.py", "VAE, a dataclass as output, summed losses, drop_last", (("Adam", 15),)),
    Row("autoencoder.py", "two models without a parent under one optimiser, Adagrad",
        (("Adagrad", 13),), models=("encoder", "decoder")),
    Row("lbfgs.py", "LBFGS with a closure that it calls many times", (("LBFGS", 10),), models=("seq",)),
    Row("sgd_schedule.py", "maximise, dampening, schedulers in a row, a plain Linear as the model",
        (("SGD", 20),), models=("lin",)),
    Row("adam_ways.py", "Adam by single tensors, foreach and fused; three models, one after the other",
        (("Adam", 7), ("Adam", 7), ("Adam", 7))),
    Row("accumulation.py", "accumulation over four batches, fewer at the end of an epoch", (("SGD", 15),)),
    Row("zero_grad_kept.py", "zero_grad(set_to_none=False)", (("NAdam", 12),), models=("net",)),
    Row("inplace_ops.py", "relu_, F.relu(inplace=True), +=, dropout in place, dead units",
        (("Adamax", 14),), models=("m",), dead={"m": {"act": 4}}),
    Row("siamese.py", "a shared tower called twice, contrastive loss", (("RAdam", 10),), models=("net",)),
    Row("dict_outputs.py", "keyword arguments; dicts, tuples and named tuples as outputs",
        (("SGD", 10),), models=("detector",)),
    Row("checkpointing.py", "activation checkpointing, reentrant and not", (("AdamW", 12),)),
    Row("evaluation.py", "evaluation inside an epoch, dropout, batch norm, the best state loaded at the end",
        (("Adam", 16),)),
    Row("embedding_bag.py", "sparse gradients, one model under two optimisers", (("SparseAdam", 9), ("Adam", 9))),
    Row("dqn.py", "deep Q-learning, a target network that follows, no update at first",
        (("AdamW", 25),), models=("policy_net",)),
    Row("reinforce.py", "REINFORCE, a forward pass for each action", (("Adam", 12),), models=("policy",)),
    Row("multitask.py", "two losses, two backwards over one graph", (("SGD", 11),), models=("trunk", "heads")),
    Row("custom_function.py", "autograd.Function, Rprop", (("Rprop", 15),), models=("net",)),
    Row("custom_optimiser.py", "an optimiser of the script's own, with a closure", (("Lion", 16),)),
    Row("manual_update.py", "parameters changed by hand, no optimiser", (), models=(),
        unseen="no optimiser says which parameters are trained"),
    Row("functional.py", "torch.func: grad, vmap, functional_call", (), models=(),
        unseen="what is trained is a dictionary of tensors, the module's own parameters stay as they were"),
    Row("fine_tune.py", "a frozen backbone, thawed half way, add_param_group", (("SGD", 14),)),
    Row("double_precision.py", "float64 by default, Adadelta", (("Adadelta", 17),)),
    Row("loader_fork.py", "DataLoader with two forked workers", (("SGD", 12),), models=("net",), command_line=True),
    Row("loader_spawn.py", "DataLoader with a spawned worker, a Dataset of __main__",
        (("Adam", 5),), models=("net",), command_line=True),
    Row("argparse_main.py", "argparse, a main function, chdir, a checkpoint saved and loaded, a second optimiser",
        (("SGD", 5), ("SGD", 5)), words=("argparse_main.py", "--lr", "0.1", "there/deeper")),
    Row("exit_three.py", "sys.exit(3), atexit", (("Adam", 6),), models=("w",), status=3),
    Row("raises.py", "an exception in the model, finally", (("SGD", 8),), models=("net",), status=1,
        command_line=True),
    Row("os_exit.py", "os._exit(7) with a full buffer", (("ASGD", 10),), models=("layer",), status=7, printed=False,
        command_line=True),
    Row("closed_stdout.py", "standard output closed", (("SGD", 12),), models=("net",), printed=False),
    Row("binary_noise.py", "bytes that are no text, escape sequences, os.write", (("Adam", 12),), models=("net",)),
    Row("signals.py", "handlers for six signals, a timer, signals during the update", (("SGD", 12),), models=("net",),
        command_line=True),
    Row("deep_recursion.py", "a stack two thousand deep, modules forty deep", (("SGD", 8),)),
    Row("no_backward.py", "inference alone, an optimiser that is never stepped", (), models=(),
        unseen="nothing is trained"),
    Row("one_step.py", "a single update", (("Adam", 1),), models=("net",)),
    Row("pickles.py", "pickles of classes of __main__, inspect.getsource, models pickled while they train",
        (("SGD", 10),), models=("net",), command_line=True),
    Row("autocast.py", "bfloat16 by autocast on the CPU", (("AdamW", 12),)),
    Row("parametrised.py", "weight, spectral and orthogonal parametrisations; one removed half way",
        (("Adam", 6), ("Adam", 6)), models=("critic",)),
    Row("gradient_penalty.py", "double backward through autograd.grad", (("RMSprop", 10),), models=("critic",)),
    Row("experts.py", "ModuleList of experts, one of which is never used", (("Adam", 12),), models=("moe",)),
    Row("trains_in_thread.py", "training in a thread of its own", (("SGD", 10),)),
    Row("own_hooks.py", "hooks of every kind of the script's own", (("SGD", 10),), models=("net",)),
    Row("averaged.py", "AveragedModel, SWALR, update_bn at the end", (("SGD", 16),)),
    Row("reads_stdin.py", "settings from standard input", (("SGD", 10),), models=("net",),
        stdin=b"0.05\n1\n2\n3\n"),
    Row("trainer_package", "python -m, relative imports", (("SGD", 10),),
        words=("-m", "trainer_package", "12"), command_line=True),
)  # fmt: skip

UNCOUNTED = (
    Row("compiled.py", "torch.compile of a model, in place, and of a function that calls one",
        (("AdamW", 12),), models=("body", "tail", "gate"), off=("activations",)),
)  # fmt: skip
"""Scripts that the oracle cannot count in: its hooks would become a part of what is compiled."""

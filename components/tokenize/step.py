"""Turn every split into token ids with the encoder's own tokenizer, on all cores."""

import shutil
from pathlib import Path

from tokenizers import Tokenizer

from components.tokenize.contract import Inputs, Outputs, Params
from components.tokenize.encoding import SplitCounts, encode_split
from components.tokenize.known_text import warnings_on
from components.tokenize.vocabulary_statistics import vocabulary_table, write_vocabulary
from decant.data.corpus import SPLITS, read_schema, split_rows
from decant.data.tokens import TokensInfo, write_info
from decant.models.encoder import (
    CONFIG,
    load_tokenizer,
    position_limit,
    read_config,
    special_ids,
)
from decant.runtime.errors import UserError
from decant.runtime.reporter import Reporter


def run(params: Params, inputs: Inputs, outputs: Outputs, reporter: Reporter) -> None:
    """Write the tokens artifact; memory use does not grow with the rows.

    Raises:
        UserError: the encoder has fewer positions than max_length_tokens, lacks embeddings for
            its tokenizer's pieces, or its tokenizer knows next to nothing of the texts.
    """
    limit = position_limit(inputs.encoder)
    if params.max_length_tokens > limit:
        raise UserError(
            f"tokenize.max_length_tokens is {params.max_length_tokens}, but the encoder has only "
            f"{limit} positions",
            code="parameter-value",
            hint=f"set it to at most {limit}",
        )
    tokenizer = load_tokenizer(inputs.encoder)
    vocabulary_size = _vocabulary_size(tokenizer, inputs.encoder)
    tokenizer.enable_truncation(params.max_length_tokens)
    specials = special_ids(inputs.encoder)
    task = read_schema(inputs.corpus).task
    info = TokensInfo(
        max_length_tokens=params.max_length_tokens,
        vocabulary_size=vocabulary_size,
        pad_id=specials.pad_id,
        unk_id=specials.unk_id,
        cls_id=specials.cls_id,
        sep_id=specials.sep_id,
        mask_id=specials.mask_id,
    )
    for sentence in warnings_on(inputs.corpus, SPLITS, tokenizer, specials.unk_id):
        reporter.warning(sentence)
    rows = {split: split_rows(inputs.corpus, split) for split in SPLITS}
    counts: dict[str, SplitCounts] = {}
    with reporter.progress("tokenizing", sum(rows.values()), unit="rows") as advance:
        for split in SPLITS:
            counts[split] = encode_split(
                inputs.corpus / f"{split}.parquet",
                outputs.tokens / f"{split}.arrow",
                tokenizer,
                task,
                vocabulary_size,
                params.batch_size_rows,
                advance,
            )
    write_vocabulary(
        outputs.tokens,
        vocabulary_table(tokenizer, counts["train"].tokens, counts["unlabelled"].tokens),
    )
    tokenizer.save(str(outputs.tokens / "tokenizer.json"))
    write_info(outputs.tokens, info)
    shutil.copyfile(inputs.corpus / "schema.json", outputs.tokens / "schema.json")
    _report(counts, info, reporter)


def _vocabulary_size(tokenizer: Tokenizer, encoder: Path) -> int:
    """One more than the largest token id, so that an id can be an index."""
    size = 1 + max(tokenizer.get_vocab(with_added_tokens=True).values())
    rows = int(read_config(encoder).get("vocab_size", size))
    if size > rows:
        raise UserError(
            f"the encoder's tokenizer has token ids up to {size - 1}, but by {CONFIG} it "
            f"has {rows} embeddings",
            code="tokenizer-mismatch",
            hint="give an encoder with the tokenizer that it was trained with",
        )
    return size


def _report(counts: dict[str, SplitCounts], info: TokensInfo, reporter: Reporter) -> None:
    table = []
    for split, count in counts.items():
        texts = count.text_tokens(info.special_ids)
        unknown = int(count.tokens[info.unk_id])
        reporter.metric(f"{split}_truncated_share", _share(count.truncated_rows, count.rows))
        reporter.metric(f"{split}_mean_tokens", _share(int(count.tokens.sum()), count.rows))
        reporter.metric(f"{split}_unk_share", _share(unknown, texts + unknown))
        figures = [reporter.metrics[f"{split}_{name}"] for name in _FIGURES]
        table.append([split, count.rows, *figures])
    reporter.table("tokens", ("split", "rows", *(name for name in _FIGURES)), table)
    share = reporter.metrics["train_truncated_share"]
    if share > 0.1:
        reporter.warning(
            f"{share:.0%} of the training texts are cut at {info.max_length_tokens} tokens; "
            "a larger tokenize.max_length_tokens keeps more of them, and costs time"
        )


_FIGURES = ("truncated_share", "mean_tokens", "unk_share")


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0

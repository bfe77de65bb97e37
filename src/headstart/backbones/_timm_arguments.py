"""The arguments and the configuration of a timm model that a file may give: an allow-list of names, and of values.

timm's `create_model` takes arguments that open files, download, or run code (`checkpoint_path`, `pretrained_cfg`), and
a file's content is no reason to do so. What decides an architecture is a count, a size, a share, a switch or the name
of a layer; nothing else passes.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from headstart.kernel.settings import Settings

_COUNTS = frozenset(
    """
    block_config cls_attn_layers depth depth_list depth_token_only depths layers num_blocks num_blocks_list num_heads
    num_kv_heads num_levels num_reg_tokens num_rnn_layers num_vit parallel_depth reg_tokens serial_depths stages
    transformer_depths
    """.split()
)
_OTHERS = frozenset(
    """
    aa_layer abs_win_pos_embed act_layer always_partition attn attn_act_layer attn_drop_rate attn_head_dim
    attn_layer attn_mlp attn_mlp_ratio attn_pool_mlp_ratio attn_pool_num_heads attn_ratio attn_type attn_types
    aux_logits avg_down base_dim base_dims base_width bias block_reduce_first bn_eps bn_momentum bn_size
    bottle_ratio bottleneck_width_ratio cardinality ch_div channel_attention channel_multiplier channels class_token
    cls_ratio conv_bias conv_mlp conv_ratio deepen_factor depth_mult depth_multiplier dim dim_mul dims distilled
    down_kernel_size down_op down_ops down_pad down_patch_size down_stride downsample downsample_block
    downsample_ratio downsamples drop_block_rate drop_path_rate drop_rate dropout dynamic_img_pad dynamic_img_size
    embed_dim embed_dims embed_norm expand_groups expand_ratio expansion_ratio fc_norm feature_dim ffn_ratio
    final_chs final_norm first_stride fix_stem global_attn_indexes global_block_counts global_pool global_pos_size
    group group_size groups growth_rate growth_rates head_bias head_conv_bias head_dim head_hidden_size
    head_init_scale head_norm head_norm_first head_widths heads hidden_size hidden_sizes img_size in_chans
    init_channels init_values initial_chs inner_dim inplanes intermediate_size kernel_size kernel_sizes key_dim
    layer_scale layer_scale_init_value ls_init_value mask_unit_size memory_efficient merge_size mlp_bias mlp_ratio
    mlp_ratios no_embed_class norm_eps norm_layer num_features num_init_features outlook_attention output_stride
    pad_type partial_dim patch_drop_rate patch_norm patch_size patch_sizes patch_stride pool_size pool_type
    pooling_scale pos_drop_rate pos_embed pre_norm preact pretrained_window_sizes proj_bias proj_drop_rate q_pool
    q_stride qk_dim qk_norm qkv_bias qkv_fused ref_feat_shape rel_pos_dim rel_pos_type reparam rope_temperature
    rope_type round_limit scale scale_attn_inner scale_attn_norm scale_mlp scale_mlp_norm se_layer se_ratio
    sep_pos_embed shared_rel_pos sr_ratios standardize stem_bias stem_chs stem_kernel_size stem_norm stem_size
    stem_stride stem_type stem_width strict_img_size stride strides swiglu_mlp token_mixers use_abs_pos
    use_abs_pos_emb use_conv use_fc_norm use_grn use_layer_scale use_mlp_head use_pos_embed use_post_norm
    use_rel_pos use_rel_pos_bias use_rope use_rot_pos_emb use_shared_rel_pos_bias version vit_stem weight_init
    widen_factor width width_factor width_list width_mult widths window_ratio window_size window_sizes
    zero_init_last
    """.split()
)
ARGUMENTS = _COUNTS | _OTHERS
"""What may be given to an architecture's constructor."""

MOST_REPEATED = 1024
"""Of blocks, heads or registers: what is made one after the other takes time before it takes memory."""
LARGEST = 65_536
"""Of any other whole number: widths, window sizes, pixels."""
_LARGEST_NUMBER = 1e6
_LONGEST_LIST = 64
_DEEPEST_LIST = 3
_WORD = re.compile(r"[A-Za-z0-9_-]{0,64}")

_Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.\-]{1,128}$")]
_Share = Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)]
_Size = Annotated[tuple[int, Annotated[int, Field(ge=1, le=8192)], Annotated[int, Field(ge=1, le=8192)]], Field()]
_Colour = tuple[_Share, _Share, _Share]
_Deviation = Annotated[float, Field(gt=0, le=10, allow_inf_nan=False)]


class Configuration(Settings):
    """The entries of timm's `pretrained_cfg` that are kept: no address and no path is among them."""

    architecture: _Word | None = None
    tag: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.\-]{0,128}$")] | None = None
    input_size: _Size | None = None
    fixed_input_size: bool | None = None
    min_input_size: _Size | None = None
    interpolation: Literal["nearest", "bilinear", "bicubic", "box", "hamming", "lanczos", "random"] | None = None
    crop_pct: Annotated[float, Field(gt=0, le=10, allow_inf_nan=False)] | None = None
    crop_mode: Literal["center", "squash", "border"] | None = None
    mean: _Colour | None = None
    std: tuple[_Deviation, _Deviation, _Deviation] | None = None
    num_classes: Annotated[int, Field(ge=0)] | None = None
    pool_size: tuple[Annotated[int, Field(ge=1, le=8192)], ...] | None = None
    first_conv: _Word | tuple[_Word, ...] | None = None
    classifier: Literal[""] | _Word | tuple[_Word, ...] | None = None


def fault_of(arguments: Mapping[str, Any]) -> str:
    """Describe the first argument that is not allowed, and what is; empty where all are."""
    for name, value in arguments.items():
        if name not in ARGUMENTS:
            close = difflib.get_close_matches(name, ARGUMENTS, n=1, cutoff=0.8)
            hint = f"Did you mean '{close[0]}'?" if close else "Allowed are those that size or shape an architecture."
            return f"the argument {name[:80]!r} is not allowed. {hint}"
        reason = _value_fault(value, MOST_REPEATED if name in _COUNTS else LARGEST)
        if reason:
            return f"the argument {name} = {str(value)[:80]} cannot be used: {reason}"
    return ""


def _value_fault(value: Any, largest: int, depth: int = 0) -> str:
    if value is None or isinstance(value, bool):
        return ""
    if isinstance(value, int):
        return "" if 0 <= value <= largest else f"whole numbers from 0 to {largest} are allowed"
    if isinstance(value, float):
        finite = math.isfinite(value) and 0 <= value <= _LARGEST_NUMBER
        return "" if finite else f"numbers from 0 to {_LARGEST_NUMBER:g} are allowed"
    if isinstance(value, str):
        return "" if _WORD.fullmatch(value) else "a name has at most 64 letters, digits, '_' and '-'"
    if isinstance(value, (list, tuple)):
        if len(value) > _LONGEST_LIST or depth == _DEEPEST_LIST:
            return f"lists have at most {_LONGEST_LIST} values and {_DEEPEST_LIST} levels"
        return next(filter(None, (_value_fault(item, largest, depth + 1) for item in value)), "")
    return "numbers, true or false, names, and lists of these are allowed"

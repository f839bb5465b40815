# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from .proto_nce_head import ProtoNCEHead

__all__ = ['ProtoNCEHead']

# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from .carp_head import CARPHead
from .proto_nce_head import ProtoNCEHead

__all__ = ['CARPHead', 'ProtoNCEHead']

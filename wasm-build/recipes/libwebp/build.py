"""libwebp with its demuxer and muxer, without the code that is written for one processor."""

import re
import shutil

from wasmbuild.recipe import BuildContext

FOLDERS = ("sharpyuv", "src/dec", "src/demux", "src/dsp", "src/enc", "src/mux", "src/utils")
OTHER_PROCESSORS = re.compile(r"_(sse2|sse41|neon|msa|mips32|mips_dsp_r2)$")


def build(context: BuildContext) -> None:
    """Fill lib/libwebp.a and include/webp."""
    shutil.copytree(
        context.source / "src" / "webp", context.output / "include" / "webp", ignore=shutil.ignore_patterns("*.in")
    )
    files = [file for folder in FOLDERS for file in sorted((context.source / folder).glob("*.c"))]
    sources = [file for file in files if not OTHER_PROCESSORS.search(file.stem)]
    flags = ["-O3", "-DNDEBUG", f"-I{context.source}", "-Wno-everything"]
    objects = context.toolchain.compile(context, sources, context.work, flags, what="libwebp")
    context.toolchain.archive(context.output / "lib" / "libwebp.a", objects)

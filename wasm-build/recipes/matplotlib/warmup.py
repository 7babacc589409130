"""Runs in the guest before the snapshot: typical figures, often enough for CPython to specialise matplotlib's Python.

One round has the size of real figures, so that buffers, caches of glyphs and allocators have grown; the others are
small. Within one round most code already runs dozens of times, so only what every figure needs takes more of them. At
the end no figure, unit converter or date epoch of these is left behind.
"""

import base64
import contextlib
import datetime
import gc
import io
import warnings

import matplotlib as mpl
import matplotlib.backends.backend_pdf
import matplotlib.backends.backend_svg
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib import dates, ticker, units

TIMES = 8
FORMATS = ("png", "svg", "pdf")


def save(**options):
    base64.b64encode(written(plt.gcf(), "png", **options)).decode()
    plt.close()
    if gc.isenabled():
        # A figure is a circle of references: many of them would make the image larger for good.
        gc.collect()


def written(figure, kind, **options):
    stream = io.BytesIO()
    figure.savefig(stream, format=kind, **options)
    return stream.getvalue()


def lines(size):
    x = np.linspace(0, 10, size)
    plt.figure(figsize=(6.4, 4.8))
    plt.plot(x, np.sin(x), label="sin")
    plt.plot(x, np.cos(x), "r--o", markevery=10, lw=1.5, label="cos")
    plt.axhline(0, color="gray", lw=0.5)
    plt.axvline(5, ls=":")
    plt.fill_between(x, np.sin(x), alpha=0.2)
    plt.title("Title")
    plt.xlabel("x")
    plt.ylabel("y")
    plt.xlim(0, 10)
    plt.grid(True)
    plt.legend()
    plt.tight_layout()
    save()
    plt.plot([1, 2, 3])
    save(dpi=72, bbox_inches="tight")


def bars(size):
    names = [f"name {n}" for n in range(8)]
    figure, axes = plt.subplots(figsize=(8, 4))
    drawn = axes.bar(names, range(8), color="tab:blue", edgecolor="black", yerr=0.3, capsize=3)
    axes.bar_label(drawn, fmt="%.1f")
    axes.tick_params(axis="x", rotation=45)
    axes.set(xlabel="name", ylabel="value", title="Bars")
    save()
    figure, (left, right) = plt.subplots(1, 2, sharey=True)
    left.barh(names, np.arange(8.0))
    left.barh(names, np.arange(8.0), left=np.arange(8.0), color=["#aabbcc"] * 8)
    right.barh(names, np.arange(8.0), hatch="/")
    figure.suptitle("Horizontal")
    figure.tight_layout()
    save()


def distributions(size):
    values = np.sin(np.arange(size * 5)) * 3
    _, axes = plt.subplots(2, 3, figsize=(9, 6), layout="constrained")
    axes[0, 0].hist(values, bins=30, alpha=0.7)
    axes[0, 1].hist([values, values / 2], bins=10, density=True, histtype="step", label=["a", "b"])
    axes[0, 1].legend(loc="upper right")
    axes[0, 2].boxplot([values, values / 2, values + 1])
    axes[1, 0].violinplot([values, values / 2])
    axes[1, 1].hist2d(values, values[::-1], bins=12)
    axes[1, 2].pie([3, 4, 5], labels=["a", "b", "c"], autopct="%1.1f%%", explode=(0, 0.1, 0))
    save()


def points(size):
    x = np.arange(size) % 17
    y = np.arange(size) % 13
    plt.scatter(x, y, c=x * y, s=20 + x, cmap="viridis", alpha=0.6, marker="o")
    plt.colorbar(label="product")
    plt.annotate("here", (3, 4), xytext=(6, 7), arrowprops={"arrowstyle": "->"})
    plt.text(1, 1, r"$\sum_{i=0}^n \frac{x_i^2}{2}$ and text", fontsize=12, color="red", bbox={"facecolor": "white"})
    save()
    plt.errorbar(x[:20], y[:20], xerr=0.5, yerr=0.2, fmt="o", ecolor="gray")
    plt.step(x[:20], y[:20])
    plt.stem(x[:5], y[:5])
    save()


def logarithms(size):
    x = np.logspace(0, 3, size)
    figure, axes = plt.subplots(2, 2)
    axes[0, 0].loglog(x, x**2)
    axes[0, 1].semilogy(x, np.exp(x / 100))
    axes[1, 0].semilogx(x, x)
    twin = axes[1, 1].twinx()
    axes[1, 1].plot(x, x)
    twin.plot(x, -x, "g")
    axes[1, 0].yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, at: f"{value:.0f}k"))
    axes[1, 1].xaxis.set_major_locator(ticker.MultipleLocator(250))
    figure.tight_layout()
    save()


def contours(size):
    x, y = np.meshgrid(np.linspace(-3, 3, size), np.linspace(-3, 3, size))
    z = np.exp(-(x**2) - y**2) - np.exp(-((x - 1) ** 2) - (y - 1) ** 2)
    found = plt.contour(x, y, z, levels=8, cmap="RdBu")
    plt.clabel(found, inline=True, fontsize=8)
    save()
    filled = plt.contourf(x, y, z, 12)
    plt.contour(x, y, z, colors="k")
    plt.colorbar(filled)
    save()
    plt.tricontourf(x.ravel()[::7], y.ravel()[::7], z.ravel()[::7])
    save()


def images(size):
    z = np.arange(size * size).reshape(size, size)
    figure, axes = plt.subplots(1, 3)
    axes[0].imshow(z, cmap="gray", interpolation="nearest")
    figure.colorbar(axes[1].imshow(z / z.max(), aspect="auto", origin="lower", extent=(0, 1, 0, 1)), ax=axes[1])
    axes[2].imshow(np.zeros((size, size, 3)))
    axes[2].axis("off")
    save()
    plt.pcolormesh(z[:20, :20], shading="auto")
    plt.colorbar()
    save()
    plt.matshow(z[:8, :8])
    for (row, column), value in np.ndenumerate(z[:8, :8]):
        plt.text(column, row, f"{value}", ha="center", va="center")
    save()


def days(size):
    start = datetime.datetime(2024, 1, 1)
    for step in ({"days": 1}, {"hours": 1}, {"minutes": 10}):
        x = [start + datetime.timedelta(**step) * n for n in range(100)]
        plt.plot(x, range(100))
        plt.gcf().autofmt_xdate()
        save()
    plt.plot(pd.date_range("2024-01-01", periods=40, freq="W"), range(40))
    plt.gca().xaxis.set_major_locator(dates.MonthLocator())
    plt.gca().xaxis.set_major_formatter(dates.DateFormatter("%Y-%m"))
    plt.xticks(rotation=45)
    save()
    plt.plot(np.arange("2024-01-01", "2024-03-01", dtype="M8[D]"), range(60))
    axis = plt.gca().xaxis
    axis.set_major_formatter(dates.ConciseDateFormatter(axis.get_major_locator()))
    save()


def frames(size):
    count = max(size, 40)
    index = pd.date_range("2024-01-01", periods=count)
    df = pd.DataFrame({"a": np.arange(count) % 7, "b": np.arange(count) * 0.1, "c": np.sin(np.arange(count))}, index)
    df.plot(title="Frame", figsize=(8, 4))
    save()
    df.head(8).plot.bar(stacked=True)
    save()
    df["a"].plot(kind="hist", bins=5)
    save()
    df.reset_index(drop=True).plot(x="a", y="b", kind="scatter")
    save()
    df.plot(subplots=True, layout=(3, 1), sharex=True, grid=True)
    save()
    _, axes = plt.subplots()
    df.groupby("a")["b"].sum().plot(ax=axes, kind="barh", color="orange")
    df.boxplot(column=["a", "b"], ax=axes)
    save()
    df[["a", "b"]].plot.area(alpha=0.5)
    save()
    df.head(4)["b"].plot.pie()
    save()
    df.hist()
    save()
    df["b"].resample("W").mean().plot(style="o-", secondary_y=True)
    save()


def solids(size):
    figure = plt.figure()
    axes = figure.add_subplot(projection="3d")
    x, y = np.meshgrid(np.linspace(-2, 2, 12), np.linspace(-2, 2, 12))
    axes.plot_surface(x, y, np.sin(x) * y, cmap="viridis")
    axes.scatter([0, 1], [0, 1], [0, 1])
    save()
    plt.polar(np.linspace(0, 6, size), np.linspace(0, 1, size))
    save()


def formats(size):
    with plt.style.context("ggplot"):
        figure, axes = plt.subplots()
        axes.plot(range(size), label="Ünïcode – “text”")
        axes.imshow(np.arange(9).reshape(3, 3), aspect="auto")
        axes.legend()
        axes.set_title(r"$x^2$")
        for kind in FORMATS:
            written(figure, kind)
        figure.savefig("/tmp/figure.png", transparent=True)
        written(figure, "jpg")
        plt.close(figure)
    with warnings.catch_warnings(), contextlib.suppress(ValueError):
        plt.figure()
        plt.show()
        written(plt.gcf(), "xyz")
    plt.close()


def everything(size):
    for draw in (lines, bars, distributions, points, logarithms, contours, images, days, frames, solids, formats):
        draw(size)


converters = dict(units.registry)
with warnings.catch_warnings(), mpl.rc_context():
    warnings.simplefilter("ignore")
    everything(100)
    plt.rcParams["figure.dpi"] = 30
    everything(20)
    for _ in range(TIMES):
        lines(20)
plt.close("all")
units.registry.clear()
units.registry.update(converters)
dates._reset_epoch_test_example()
gc.collect()

# Statements without their ending: each draws one figure with pyplot, and the test adds how it is written.

# === line
import matplotlib.pyplot as plt
import numpy as np
x = np.linspace(0, 2 * np.pi, 200)
plt.plot(x, np.sin(x), label="sin(x)")
plt.plot(x, np.cos(x), "--", label="cos(x)")
plt.fill_between(x, np.sin(x), 0, alpha=0.2)
plt.axhline(0, color="black", lw=0.8)
plt.title("Two waves")
plt.xlabel("x")
plt.ylabel("y")
plt.grid(True, alpha=0.4)
plt.legend()

# === bars
import matplotlib.pyplot as plt
cities = ["Brno", "Oslo", "Praha", "Wien", "Roma"]
figure, axes = plt.subplots(figsize=(7, 4), layout="tight")
drawn = axes.bar(cities, [9, 3, 12, 7, 5], yerr=[1, 0.5, 1.2, 0.8, 0.4], capsize=4, color="tab:orange", edgecolor="black")
axes.bar_label(drawn, padding=3)
axes.barh([14], [2], left=1, height=1, hatch="//", color="white", edgecolor="tab:blue")
axes.tick_params(axis="x", rotation=45)
axes.set(title="Orders", ylabel="count")

# === histogram
import matplotlib.pyplot as plt
import numpy as np
rng = np.random.default_rng(7)
values = rng.normal(10, 2, 5000)
plt.hist(values, bins=40, density=True, alpha=0.7, label="normal")
plt.hist(rng.exponential(3, 5000), bins=40, density=True, histtype="step", lw=2, label="exponential")
plt.xlim(0, 20)
plt.legend(loc="upper right")
plt.title("Distributions")

# === scatter
import matplotlib.pyplot as plt
import numpy as np
rng = np.random.default_rng(3)
x, y = rng.random(150), rng.random(150)
plt.scatter(x, y, c=x + y, s=300 * rng.random(150), alpha=0.6, cmap="plasma", edgecolors="black")
plt.colorbar(label="sum")
plt.annotate("the middle", (0.5, 0.5), xytext=(0.1, 0.9), arrowprops={"arrowstyle": "->"})
plt.title("Points")

# === contour
import matplotlib.pyplot as plt
import numpy as np
x, y = np.meshgrid(np.linspace(-3, 3, 120), np.linspace(-2, 2, 100))
z = 2 * (np.exp(-(x**2) - y**2) - np.exp(-((x - 1) ** 2) - (y - 1) ** 2))
lines = plt.contour(x, y, z, levels=np.arange(-1.5, 2.0, 0.25), cmap="coolwarm")
plt.clabel(lines, inline=True, fontsize=8)
plt.title("Contours")

# === filled contour
import matplotlib.pyplot as plt
import numpy as np
x, y = np.meshgrid(np.linspace(-3, 3, 80), np.linspace(-3, 3, 80))
z = np.ma.masked_where(x**2 + y**2 < 0.3, np.sin(x) * np.cos(y))
figure, axes = plt.subplots()
figure.colorbar(axes.contourf(x, y, z, 12, cmap="viridis", extend="both"), ax=axes)
axes.contour(x, y, z, 12, colors="white", linewidths=0.5)
axes.set_title("Filled contours, with a hole")

# === dates
import datetime
import matplotlib.pyplot as plt
from matplotlib import dates
start = datetime.datetime(2024, 1, 15, 6)
days = [start + datetime.timedelta(hours=18 * n) for n in range(120)]
figure, axes = plt.subplots(figsize=(8, 4))
axes.plot(days, [n % 17 + n / 10 for n in range(120)], drawstyle="steps-post")
axes.xaxis.set_major_locator(dates.MonthLocator())
axes.xaxis.set_minor_locator(dates.WeekdayLocator())
axes.xaxis.set_major_formatter(dates.DateFormatter("%b %Y"))
axes.set_title("A quarter")
figure.autofmt_xdate()

# === image
import matplotlib.pyplot as plt
import numpy as np
row = np.arange(64)
picture = (np.add.outer(row**2, row**2) % 256).astype("u1")
figure, axes = plt.subplots(1, 3, figsize=(9, 3.5))
axes[0].imshow(picture, cmap="gray")
axes[1].imshow(picture, cmap="magma", interpolation="bilinear", extent=(0, 1, 0, 1))
axes[2].imshow(np.dstack([picture, picture.T, picture[::-1]]))
axes[2].axis("off")
figure.suptitle("Images")

# === boxes
import matplotlib.pyplot as plt
import numpy as np
rng = np.random.default_rng(11)
data = [rng.normal(n, 1 + n / 4, 200) for n in range(4)]
figure, (left, right) = plt.subplots(1, 2, sharey=True, layout="constrained")
left.boxplot(data, notch=True)
left.set_title("Boxes")
right.violinplot(data, showmeans=True)
right.set_title("Violins")

# === pie
import matplotlib.pyplot as plt
plt.pie([35, 25, 20, 20], labels=["a", "b", "c", "d"], autopct="%1.1f%%", explode=(0, 0.1, 0, 0), shadow=True, startangle=90)
plt.title("Shares")

# === text
import matplotlib.pyplot as plt
figure = plt.figure(figsize=(6, 4))
figure.text(0.05, 0.85, "Sans, Ünïcödé, Ελλάδα, Кириллица", fontsize=14)
figure.text(0.05, 0.72, "serif italic", fontsize=14, family="serif", style="italic")
figure.text(0.05, 0.59, "monospace bold", fontsize=14, family="monospace", weight="bold")
figure.text(0.05, 0.42, r"$\int_0^\infty e^{-x^2}\,dx = \frac{\sqrt{\pi}}{2}$", fontsize=18)
figure.text(0.05, 0.25, r"$\sum_{i=1}^{n} \alpha_i \geq \mathcal{O}(n \log n)$", fontsize=18, math_fontfamily="stix")
figure.text(0.75, 0.2, "turned", rotation=60, fontsize=16, color="crimson", bbox={"boxstyle": "round", "facecolor": "wheat"})

# === logarithms
import matplotlib.pyplot as plt
import numpy as np
x = np.logspace(0, 4, 60)
figure, axes = plt.subplots(2, 2, figsize=(7, 5), layout="tight")
axes[0, 0].loglog(x, x**1.5)
axes[0, 1].semilogy(x, np.exp(x / 2000), "g.")
axes[1, 0].semilogx(x, np.log(x), marker="s", markevery=10)
axes[1, 1].plot(x, x)
axes[1, 1].set_yscale("symlog")

# === frame
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
index = pd.date_range("2024-01-01", periods=90)
df = pd.DataFrame({"a": np.sin(np.arange(90) / 9), "b": np.cos(np.arange(90) / 7), "c": np.arange(90) / 90}, index)
df.plot(figsize=(8, 4), title="DataFrame.plot", grid=True)

# === stacked frame
import pandas as pd
df = pd.DataFrame({"red": [3, 1, 2], "green": [1, 4, 2], "blue": [2, 2, 5]}, index=["x", "y", "z"])
axes = df.plot.bar(stacked=True, color=["tab:red", "tab:green", "tab:blue"], rot=0)
axes.set_ylabel("pieces")

# === polar
import matplotlib.pyplot as plt
import numpy as np
r = np.arange(0, 2, 0.01)
axes = plt.subplot(projection="polar")
axes.plot(2 * np.pi * r, r)
axes.set_rticks([0.5, 1, 1.5, 2])
axes.set_title("A spiral")

# === surface
import matplotlib.pyplot as plt
import numpy as np
x, y = np.meshgrid(np.linspace(-5, 5, 40), np.linspace(-5, 5, 40))
axes = plt.figure().add_subplot(projection="3d")
axes.plot_surface(x, y, np.sin(np.hypot(x, y)), cmap="coolwarm", linewidth=0)
axes.set_zlim(-1.01, 1.01)

# === triangles
import matplotlib.pyplot as plt
import numpy as np
angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
x = np.concatenate([radius * np.cos(angle + radius) for radius in (0.3, 0.6, 1.0)])
y = np.concatenate([radius * np.sin(angle + radius) for radius in (0.3, 0.6, 1.0)])
plt.tricontourf(x, y, x * y, 9)
plt.triplot(x, y, color="white", lw=0.5)
plt.gca().set_aspect("equal")

# === mesh
import matplotlib.pyplot as plt
import numpy as np
x, y = np.meshgrid(np.linspace(0, 3, 31), np.linspace(0, 2, 21))
plt.pcolormesh(x, y, np.sin(x * 3) + y, shading="gouraud", cmap="cividis")
plt.colorbar(orientation="horizontal")
plt.quiver(x[::4, ::4], y[::4, ::4], np.cos(x[::4, ::4]), np.sin(y[::4, ::4]), color="white")

import pandas as pd

sales = pd.DataFrame(INPUT_DATA).astype({"units": int, "price": float})
sales["revenue"] = sales["units"] * sales["price"]
by_region = sales.groupby("region").agg(days=("day", "nunique"), units=("units", "sum"), revenue=("revenue", "sum"))
log.info(f"{len(sales)} sales in {len(by_region)} regions")
return by_region.round(2).sort_values("revenue", ascending=False).reset_index().to_dict("records")

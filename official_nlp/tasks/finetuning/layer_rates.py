def layer_rates(model, decay, off):
    return {v.ref(): 1.0 for v in model.variables}

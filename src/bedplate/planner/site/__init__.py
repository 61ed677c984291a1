"""Housing and connecting machines: racks and cooling, the fabric, storage, power, energy and water, money, and the time it all takes."""

-- Which events of the sample are stored already?
SELECT DISTINCT id FROM mentoring.events WHERE source = {source:String}

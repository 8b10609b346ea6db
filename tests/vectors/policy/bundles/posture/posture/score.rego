# Device posture as points; another package uses them.
package posture.score

default device := 0

device := 40 if object.get(input, ["subject", "device"], "unknown") == "managed"

default proof := 0

proof := object.get(data.posture.points, object.get(input, ["subject", "proof"], "none"), 0) if is_object(input.subject)

penalty(level) := object.get({"low": 0, "guarded": 10, "elevated": 30, "high": 60, "critical": 100}, level, 100)

default risk := 50

risk := penalty(input.risk.level) if is_string(input.risk.level)

total := (device + proof) - risk

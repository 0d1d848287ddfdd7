"""What the page says of a damage, as Markdown."""

from collections.abc import Mapping

from .told import Checked, Facts, Struck


def timing_text(times: Mapping[str, float]) -> str:
    """How long each stage took since the move."""
    return " · ".join(f"{what} {1000 * seconds:.0f} ms" for what, seconds in times.items())


def facts_text(facts: Facts, checked: Checked | None) -> str:
    """Measures, severity and why, then what the captures add."""
    lines = [f"**{facts.product}**", ""]
    for k, struck in enumerate(facts.struck):
        lines += _struck(struck, None if checked is None else checked.visible[k])
    if not facts.struck:
        lines.append("Sound." if not facts.rejected else "")
    if facts.rejected:
        lines.append(f"Given up after failed solves: {', '.join(facts.rejected)}. Try another draw or strength.")
    if facts.resampled:
        lines.append(f"Solves that failed and were drawn anew: {facts.resampled}.")
    if facts.set_back:
        lines.append(f"Set back to an earlier state in which the sheet can lie: {facts.set_back}.")
    if checked is not None:
        lines += ["", f"The capture counts as **{'damaged' if checked.defect else 'sound'}**.", "", "**Meshes**", ""]
        lines += [f"- {line}" for line in checked.health]
        lines += ["", "**SHA-256 of truth images**", ""]
        lines += [f"- {name} `{digest[:16]}`" for name, digest in checked.hashes.items()]
    return "\n".join(lines)


def _struck(struck: Struck, visible: Mapping[str, float] | None) -> list[str]:
    because = f" because {struck.because}" if struck.because else ""
    lines = [
        f"**{struck.generator}** ({struck.kind}): **{struck.severity}**{because}",
        "",
        "| measure | value |",
        "|---|---|",
    ]
    lines += [f"| {name} | {value:.4g} |" for name, value in struck.measures.items()]
    lines += [f"| {name} | {_short(value)} |" for name, value in struck.parameters.items()]
    for camera, share in (visible or {}).items():
        lines.append(f"| seen by {camera} | {100 * share:.0f} % |")
    return [*lines, ""]


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)

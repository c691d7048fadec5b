// Runs in a page and returns what is wrong with it for people who do not see it, or see it badly.
() => {
  const found = [];
  const all = (selector) => [...document.querySelectorAll(selector)];
  if (document.documentElement.lang !== "en") found.push("the page does not say its language");
  if (!document.title.trim()) found.push("the page has no title");
  if (all("h1").length !== 1) found.push(`${all("h1").length} headings of level 1`);
  if (all("main").length !== 1) found.push("not exactly one main");
  let level = 0;
  for (const heading of all("h1, h2, h3, h4")) {
    const own = Number(heading.tagName[1]);
    if (own > level + 1) found.push(`heading ${heading.innerText} skips a level`);
    level = own;
  }
  for (const field of all("input:not([type=hidden]), textarea, select")) {
    if (!field.labels.length || !field.labels[0].innerText.trim()) found.push(`${field.name} has no label`);
  }
  for (const image of all("img")) if (!image.alt) found.push(`${image.src} has no text`);
  for (const control of all("a, button, summary")) {
    if (!control.innerText.trim() && !control.querySelector("img[alt]")) found.push("a control has no name");
  }
  const ids = all("[id]").map((element) => element.id);
  for (const id of new Set(ids)) if (ids.filter((other) => other === id).length > 1) found.push(`two ${id}`);
  for (const attribute of ["aria-labelledby", "aria-describedby"]) {
    for (const element of all(`[${attribute}]`)) {
      const id = element.getAttribute(attribute);
      if (!document.getElementById(id)) found.push(`${attribute} names ${id}, which is not there`);
    }
  }
  for (const element of all("[tabindex]")) if (element.tabIndex > 0) found.push("a tab order of its own");

  const parse = (color) => color.match(/[\d.]+/g).map(Number);
  const luminance = ([red, green, blue]) => {
    const [r, g, b] = [red, green, blue].map((value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = parse(getComputedStyle(at).backgroundColor);
      if (color.length < 4 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  const contrast = (one, other) => {
    const [high, low] = [luminance(one), luminance(other)].sort((a, b) => b - a);
    return (high + 0.05) / (low + 0.05);
  };
  for (const element of all("body *")) {
    const texts = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    const style = getComputedStyle(element);
    if (texts && element.getClientRects().length) {
      const ratio = contrast(parse(style.color), ground(element));
      if (ratio < 4.5) found.push(`contrast ${ratio.toFixed(2)} of "${element.innerText.slice(0, 40)}"`);
    }
    if (element.matches("input:not([type=hidden]), textarea, button") && element.type !== "checkbox") {
      const ratio = contrast(parse(style.borderTopColor), ground(element.parentElement));
      if (ratio < 3) found.push(`contrast ${ratio.toFixed(2)} of the edge of ${element.name || element.innerText}`);
    }
  }
  return found;
}

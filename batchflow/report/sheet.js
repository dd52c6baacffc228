(() => {
  const sheet = JSON.parse($("sheet").textContent);
  const key = `batchflow-labels ${sheet.name} ${sheet.items.map((one) => `${one.keys.custom_id}#${one.keys.sample}`).join(" ")}`;
  const isOpen = (i, field) => (said[i][field.column] ?? null) === null;
  let said = sheet.items.map(() => ({})), at = 0, changed = false;
  try { said = JSON.parse(localStorage.getItem(key)) || said; } catch { /* nothing is kept where nothing may be */ }

  const keep = () => {
    changed = true;
    try { localStorage.setItem(key, JSON.stringify(said)); } catch { /* as above */ }
    tell();
  };
  const tell = () => {
    const done = said.filter((one) => sheet.fields.every((field) => (one[field.column] ?? null) !== null)).length;
    $("status").textContent = `${done} of ${sheet.items.length} answers judged`;
  };
  const part = (node, title, text) => {
    const shown = Array.isArray(text) ? text.join("\n") : text;
    if (shown) node.append(el("h4", "", title), el("p", `text ${title === "Answer" ? "boxed" : ""}`, shown));
  };
  const choice = (i, field) => {
    const group = el("fieldset", "choice");
    group.append(el("legend", "", field.title));
    if (!field.choices.length) {
      const label = el("label"), input = el("input");
      Object.assign(input, { type: "number", min: field.low, max: field.high, step: "any", value: said[i][field.column] ?? "" });
      input.addEventListener("input", () => { said[i][field.column] = input.value !== "" && input.validity.valid ? Number(input.value) : null; keep(); });
      label.append(input, ` from ${field.low} to ${field.high}`);
      group.append(label);
      return group;
    }
    for (const [word, value] of [...field.choices, ["Leave open", null]]) {
      const label = el("label"), input = el("input");
      input.type = "radio";
      input.name = `${field.column}-${i}`;
      input.checked = (said[i][field.column] ?? null) === value;
      input.addEventListener("change", () => { said[i][field.column] = value; keep(); });
      label.append(input, ` ${word}`);
      group.append(label);
    }
    return group;
  };
  const card = (one, i) => {
    const node = el("section", "answer");
    node.id = `answer-${i}`;
    node.tabIndex = -1;
    node.append(el("h2", "", `${i + 1}. ${one.keys.custom_id}${one.keys.sample ? ` #${one.keys.sample}` : ""}`));
    part(node, "Question", one.shown.question);
    for (const address of one.pictures) {
      const image = el("img");
      image.src = address;
      image.alt = "Picture of the question";
      node.append(image);
    }
    part(node, "Context", one.shown.context);
    part(node, "Options", one.shown.options);
    part(node, "Reference", one.shown.references);
    const extracted = one.shown.extracted || {};
    for (const [name, text] of Object.entries(extracted)) {
      if (name !== "answer") part(node, name[0].toUpperCase() + name.slice(1), String(text));
    }
    part(node, "Answer", "answer" in extracted ? String(extracted.answer) : one.shown.answer);
    node.append(...sheet.fields.map((field) => choice(i, field)));
    node.addEventListener("focusin", () => { at = i; });
    return node;
  };
  const go = (i) => {
    at = Math.min(sheet.items.length - 1, Math.max(0, i));
    $(`answer-${at}`).focus({ preventScroll: true });
    $(`answer-${at}`).scrollIntoView({ block: "start" });
  };
  const rows = () => sheet.items.map((one, i) => ({ ...one.keys, ...said[i] })).filter((row, i) => sheet.fields.some((field) => !isOpen(i, field)));
  const save = () => {
    const text = rows().map((row) => JSON.stringify(row)).join("\n");
    const link = el("a");
    link.href = URL.createObjectURL(new Blob([text ? `${text}\n` : ""], { type: "application/jsonl" }));
    link.download = `${sheet.name}.labels.jsonl`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    changed = false;
  };
  $("answers").append(...sheet.items.map(card));
  tell();
  $("save").addEventListener("click", save);
  addEventListener("beforeunload", (event) => { if (changed) event.preventDefault(); });
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "j") go(at + 1);
    else if (event.key === "k") go(at - 1);
    else if (/^[0-9]$/.test(event.key) && document.activeElement.type !== "number") {
      const boxes = [...$(`answer-${at}`).querySelectorAll("fieldset")];
      const box = boxes.find((one) => one.contains(document.activeElement)) || boxes.find((one, n) => isOpen(at, sheet.fields[n])) || boxes[0];
      const inputs = [...box.querySelectorAll("input")];
      if (inputs[0].type === "number") { inputs[0].focus(); return; }
      const input = event.key === "0" ? inputs.at(-1) : inputs.slice(0, -1)[event.key - 1];
      if (!input) return;
      input.click();
      if (sheet.fields.every((field) => !isOpen(at, field))) go(at + 1);
    }
  });
})();

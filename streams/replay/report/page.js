// The plots stand in the page as drawn. Here each is drawn again at the width at hand, with tooltips, when it comes near.
(function () {
  "use strict";
  function draw(plot) {
    var spec = JSON.parse(plot.querySelector("script").textContent);
    if (plot.clientWidth < 480) {
      spec.config.axis.labelLimit = 150;
      spec.config.legend.columns = 1;
    }
    var place = document.createElement("div");
    place.style.visibility = "hidden";
    place.style.height = "0";
    plot.appendChild(place);
    vegaEmbed(place, spec, {renderer: "svg", actions: false, ast: true, tooltip: {disableDefaultStyle: false}}).then(function () {
      place.style.visibility = "";
      place.style.height = "";
      plot.querySelector(".drawn").remove();
    }).catch(function () {
      place.remove();
    });
  }
  var plots = document.querySelectorAll(".plot");
  if (!window.IntersectionObserver) { return; }
  var watching = new IntersectionObserver(function (seen) {
    seen.forEach(function (entry) {
      if (entry.isIntersecting) {
        watching.unobserve(entry.target);
        draw(entry.target);
      }
    });
  }, {rootMargin: "400px"});
  plots.forEach(function (plot) { watching.observe(plot); });
})();

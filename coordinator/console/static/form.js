/* Fields of a promise are asked for only where a promise is wanted; without this script they are simply there. */
(function () {
  "use strict";
  var choices = document.querySelectorAll('input[name="exactness"]');
  function settle() {
    var wanted = document.querySelector('input[name="exactness"][value="dp"]');
    ["epsilon", "delta"].forEach(function (name) {
      var field = document.getElementById(name);
      if (field && wanted) { field.readOnly = !wanted.checked; field.closest(".field").hidden = !wanted.checked; }
    });
  }
  choices.forEach(function (each) { each.addEventListener("change", settle); });
  settle();
})();
